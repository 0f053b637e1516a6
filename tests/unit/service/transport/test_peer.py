"""Whence a request comes: nobody's word counts but that of trusted proxies."""

import pytest

from service.transport.peer import client_address

PEER = "192.0.2.1"


@pytest.mark.parametrize(
    ("forwarded", "trusted", "expected"),
    [
        ([], 0, PEER),
        (["198.51.100.7"], 0, PEER),
        (["198.51.100.7"], 1, "198.51.100.7"),
        (["203.0.113.9, 198.51.100.7"], 1, "198.51.100.7"),
        (["203.0.113.9, 198.51.100.7 , 10.0.0.1"], 2, "198.51.100.7"),
        (["203.0.113.9", "198.51.100.7"], 1, "198.51.100.7"),
        (["198.51.100.7"], 2, PEER),
        ([], 1, PEER),
        (["unknown"], 1, "unknown"),
    ],
)
def test_only_trusted_entries_count(
    forwarded: list[str], trusted: int, expected: str
) -> None:
    """
    Counted from the right; what a client wrote itself is left of that.
    """
    assert expected == client_address(PEER, forwarded, trusted_proxies=trusted)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
    ],
)
def test_a_host_of_ipv6_is_its_network(address: str, expected: str) -> None:
    """
    One machine has more addresses there than a limit could count.
    """
    assert expected == client_address(address, [], trusted_proxies=0)
