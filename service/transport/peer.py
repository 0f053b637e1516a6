"""Whence a request comes: its peer, or what trusted proxies say of it."""

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network

_HOSTS_NETWORK = 64  # what one host of IPv6 is usually given


def client_address(
    peer: str, forwarded_for: Sequence[str], *, trusted_proxies: int
) -> str:
    """Return the address that limits count by.

    Each proxy appends whom it was asked by to X-Forwarded-For; everything left of
    what trusted ones wrote is the client's own invention.

    Args:
        peer: The other end of the connection.
        forwarded_for: The X-Forwarded-For headers, in order.
        trusted_proxies: How many entries from the right to believe; 0: none.
    """
    entries = [one.strip() for header in forwarded_for for one in header.split(",")]
    # With fewer entries than proxies somebody came around them.
    believed = 0 < trusted_proxies <= len(entries)
    return _normal(entries[-trusted_proxies] if believed else peer)


def _normal(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network(f"{parsed}/{_HOSTS_NETWORK}", strict=False))
    return str(parsed)
