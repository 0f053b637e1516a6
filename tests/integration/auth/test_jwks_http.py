"""Fetching keys over HTTP: a plain 200 in time and in size, or nothing."""

import gzip

import pytest

from service.adapters.jwks_http import fetch_keys
from service.errors import UnavailableError
from tests.fakes.key_server import answer, key_server, ok

pytestmark = pytest.mark.integration

DOCUMENT = b'{"keys":[]}'


async def test_the_document_is_returned_as_it_is() -> None:
    """
    One GET, and it asks for no compression.
    """
    async with key_server(ok(DOCUMENT)) as keys:
        found = await fetch_keys(keys.url)

    assert DOCUMENT == found
    assert 1 == len(keys.asked)
    assert keys.asked[0].startswith(b"GET /keys HTTP/1.1\r\n")
    assert b"accept-encoding: identity" in keys.asked[0].lower()


async def test_redirects_are_not_followed() -> None:
    """
    Another place may not say who may sign.
    """
    async with key_server(ok(DOCUMENT)) as other:
        moved = answer("302 Found", b"", f"Location: {other.url}")
        async with key_server(moved) as keys:
            with pytest.raises(UnavailableError, match="302"):
                await fetch_keys(keys.url)

    assert [] == other.asked


@pytest.mark.parametrize(
    "says",
    [
        answer("404 Not Found", DOCUMENT),
        answer("500 Internal Server Error", DOCUMENT),
        answer("204 No Content", b""),
        ok(b"x" * 1_001),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 100_000,
        ok(gzip.compress(DOCUMENT), "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"",
    ],
    ids=lambda says: says[:24].decode(),
)
async def test_anything_else_is_no_answer(says: bytes) -> None:
    """
    Errors, too much, compressed, cut off or nonsense: the keys are away.
    """
    async with key_server(says) as keys:
        with pytest.raises(UnavailableError, match="keys"):
            await fetch_keys(keys.url, max_bytes=1_000)


async def test_a_silent_server_is_given_up() -> None:
    """
    Nobody waits longer than the attempt may take.
    """
    async with key_server(None) as keys:
        with pytest.raises(UnavailableError, match="Timeout"):
            await fetch_keys(keys.url, attempt_seconds=0.1)


async def test_nobody_listens() -> None:
    """
    A closed port is the same as an absent provider.
    """
    async with key_server(ok(DOCUMENT)) as keys:
        url = keys.url

    with pytest.raises(UnavailableError, match="Connect"):
        await fetch_keys(url)
