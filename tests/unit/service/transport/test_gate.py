"""What an upgrade request passes: path, Host, Origin, credential, room."""

from collections.abc import Sequence

import pytest
from multidict import CIMultiDict
from picows import WSUpgradeRequest

from service.app.admission import Admission, Room
from service.core.limits import Identity
from service.errors import AuthenticationError, PermissionDeniedError, UnavailableError
from service.transport.gate import Arrival, Gate

HOST = "events.example"
ORIGIN = "https://events.example"
GOOD = (("Host", HOST), ("Origin", ORIGIN))
Headers = Sequence[tuple[str, str]]


class Desk:
    """A gate, and what its admission refused."""

    def __init__(self, *, connections: int = 10, trusted_proxies: int = 0) -> None:
        self.refused: list[str] = []
        self.admission = Admission(
            Room(connections=connections, unproven=3, unproven_per_address=2),
            lives_elsewhere=self._nowhere,
            rejected=self.refused.append,
        )
        self.gate = Gate(
            allowed_hosts=frozenset({HOST, "localhost:8080"}),
            allowed_origins=frozenset({ORIGIN}),
            identify=self._identify,
            admission=self.admission,
            trusted_proxies=trusted_proxies,
        )

    async def _nowhere(self, user_id: str, conn: str) -> bool:
        raise AssertionError((user_id, conn))

    def _identify(self, authorization: str) -> Identity:
        if authorization != "Bearer good":
            raise AuthenticationError("no")
        return Identity(user_id="ada")

    def check(
        self,
        *headers: tuple[str, str],
        path: str = "/v1/socket",
        peer: str = "192.0.2.1",
    ) -> Arrival:
        request = WSUpgradeRequest()
        request.method, request.version = b"GET", b"HTTP/1.1"
        request.path = path.encode("latin-1")
        request.headers = CIMultiDict(headers)
        return self.gate.check(request, peer)


def test_a_page_passes_without_a_credential() -> None:
    """
    It shows its ticket later; its Origin is remembered until then.
    """
    arrival = Desk().check(*GOOD)

    assert (None, ORIGIN) == (arrival.credential, arrival.origin)


def test_a_program_proves_itself_at_once() -> None:
    """
    Its Authorization header is checked, and it takes no place of the unproven.
    """
    desk = Desk()
    arrival = desk.check(("Host", HOST), ("Authorization", "Bearer good"))

    assert arrival.credential is not None
    assert ("ada", None) == (arrival.credential.user_id, arrival.origin)
    assert (1, 0) == (len(desk.admission), desk.admission.unproven)


@pytest.mark.parametrize(
    "origin",
    [
        "https://events.example.evil.example",
        "https://evil-events.example",
        "https://evil.example/https://events.example",
        "https://events.example@evil.example",
        "https://events.example:8443",
        "https://events.example:443",
        "http://events.example",
        "HTTPS://events.example",
        "https://Events.example",
        "https://events.example.",
        "https://events.example/",
        " https://events.example",
        "https://sub.events.example",
        "null",
        "",
        "*",
        "events.example",
        "file://",
    ],
)
def test_origins_are_compared_whole(origin: str) -> None:
    """
    A prefix, a suffix, another port, scheme or case: none is the page's own origin.
    """
    desk = Desk()

    with pytest.raises(PermissionDeniedError, match="Origin"):
        desk.check(("Host", HOST), ("Origin", origin))
    assert 0 == len(desk.admission)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Host", "")],
        [("Host", "events.example:80")],
        [("Host", "events.example.")],
        [("Host", "EVENTS.example")],
        [("Host", "events.example.evil.example")],
        [("Host", "evil.example"), ("X-Forwarded-Host", HOST)],
        [("Host", "evil.example"), ("Forwarded", f"host={HOST}")],
        [("Host", HOST), ("Host", "evil.example")],
        [("Host", HOST), ("Host", HOST)],
        [("Host", "localhost")],
    ],
    ids=str,
)
def test_hosts_are_compared_whole(headers: Headers) -> None:
    """
    One Host header, as it is in the list; what proxies may say of it is no matter.
    """
    with pytest.raises(PermissionDeniedError, match="Host"):
        Desk().check(*headers)


def test_there_is_one_origin() -> None:
    """
    Of two, somebody else might have read the other.
    """
    with pytest.raises(PermissionDeniedError, match="Origin"):
        Desk().check(*GOOD, ("Origin", ORIGIN))


@pytest.mark.parametrize("path", ["/", "/v1/socket/", "/v1/socket2", "/x?/v1/socket"])
def test_sockets_have_one_path(path: str) -> None:
    """
    Anything else is refused by name.
    """
    with pytest.raises(PermissionDeniedError, match="path"):
        Desk().check(*GOOD, path=path)


def test_a_credential_that_does_not_hold_opens_nothing() -> None:
    """
    Whoever shows a bad one is not let in to show another.
    """
    desk = Desk()

    with pytest.raises(AuthenticationError):
        desk.check(*GOOD, ("Authorization", "Bearer bad"))
    assert 0 == len(desk.admission)


def test_only_moves_get_the_rest() -> None:
    """
    From 80 % on `?move=1` is let in, and nothing that looks like it.
    """
    desk = Desk(connections=5)
    for _ in range(4):
        desk.check(*GOOD, ("Authorization", "Bearer good"))
    for query in ("", "?move=0", "?move=1&move=2", "?x=1", "?move"):
        with pytest.raises(UnavailableError):
            desk.check(
                *GOOD, ("Authorization", "Bearer good"), path=f"/v1/socket{query}"
            )

    desk.check(*GOOD, ("Authorization", "Bearer good"), path="/v1/socket?move=1")

    assert 5 == len(desk.admission)


def test_limits_count_by_address() -> None:
    """
    By the other end of the connection, or by what trusted proxies say of it.
    """
    near, far = Desk(), Desk(trusted_proxies=1)
    for _ in range(2):
        near.check(*GOOD, ("X-Forwarded-For", "198.51.100.7"))
        far.check(*GOOD, ("X-Forwarded-For", "203.0.113.1, 198.51.100.7"))

    with pytest.raises(UnavailableError):
        near.check(*GOOD, ("X-Forwarded-For", "198.51.100.8"))
    with pytest.raises(UnavailableError):
        far.check(*GOOD, ("X-Forwarded-For", "203.0.113.2, 198.51.100.7"))
    far.check(*GOOD, ("X-Forwarded-For", "198.51.100.8"))
    near.check(*GOOD, peer="192.0.2.2")
    assert ["address"] == near.refused == far.refused
