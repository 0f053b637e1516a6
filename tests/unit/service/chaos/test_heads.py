"""What the proxy changes in a request's head, and what it leaves alone."""

from service.chaos.heads import asks_upgrade, is_upgraded, seen_as

HERE, THERE = "127.0.0.1:9000", "127.0.0.1:8080"
UPGRADE = (
    b"GET /v1/socket HTTP/1.1\r\nhost: 127.0.0.1:9000\r\nUpgrade: WebSocket\r\n"
    b"Connection: Upgrade\r\nOrigin: http://127.0.0.1:9000\r\n\r\n"
)


def test_an_upgrade_comes_as_if_directly() -> None:
    """
    Host and the proxy's own Origin become the target's; the rest stays.
    """
    expected = (
        b"GET /v1/socket HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUpgrade: WebSocket\r\n"
        b"Connection: Upgrade\r\nOrigin: http://127.0.0.1:8080\r\n\r\n"
    )

    assert asks_upgrade(UPGRADE)
    assert expected == seen_as(UPGRADE, here=HERE, there=THERE)


def test_a_foreign_host_or_origin_stays_foreign() -> None:
    """
    The proxy does not open what the service's allow-lists close.
    """
    head = (
        b"GET / HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n"
    )

    changed = seen_as(head, here=HERE, there=THERE)

    assert b"\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n" in changed


def test_a_plain_connection_carries_one_request() -> None:
    """
    The head of a second one would pass with the wrong Host.
    """
    head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nConnection: keep-alive\r\n\r\n"

    changed = seen_as(head, here=HERE, there=THERE)

    assert b"Connection: close" in changed
    assert b"keep-alive" not in changed


def test_the_answer_tells_whether_frames_follow() -> None:
    """
    A refused upgrade is an ordinary answer.
    """
    assert is_upgraded(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    assert not is_upgraded(b"HTTP/1.1 403 Forbidden\r\n\r\n")
