"""The keys of an identity provider, fetched over HTTP."""

import asyncio

import httpx

from service.errors import UnavailableError

ATTEMPT_SECONDS = 5.0
MAX_BYTES = 256 * 1024


async def fetch_keys(
    url: str, *, attempt_seconds: float = ATTEMPT_SECONDS, max_bytes: int = MAX_BYTES
) -> bytes:
    """Return the document at a URL.

    Redirects are not followed: they would let another host say who may sign.

    Raises:
        UnavailableError: it is away, slow, too large, or no plain 200.
    """
    try:
        async with (
            asyncio.timeout(attempt_seconds),
            httpx.AsyncClient(timeout=attempt_seconds) as client,
            # Compressed, a small answer could become a large one.
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as said,
        ):
            if said.status_code != httpx.codes.OK:
                raise UnavailableError(f"keys: answered {said.status_code}")
            if "Content-Encoding" in said.headers:
                raise UnavailableError("keys: came compressed")
            return await _body(said, max_bytes)
    except (httpx.HTTPError, OSError, TimeoutError) as exc:
        raise UnavailableError(f"keys: {type(exc).__name__} {exc}".rstrip()) from exc


async def _body(said: httpx.Response, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in said.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise UnavailableError(f"keys: over {max_bytes} bytes")
    return bytes(body)
