"""`Receiver` of the webhook over HTTP."""

import asyncio
from collections.abc import Mapping

import httpx

from service import __version__
from service.contract import SERVICE_NAME

POST_SECONDS = 10.0
_CONNECT_SECONDS = 5.0


class HttpWebhook:
    """Posts to the one URL of the settings, and to no other.

    Redirects are failures, the environment's proxies are not asked, and the answer's
    body is not read: a receiver can neither send us elsewhere nor fill our memory.
    """

    def __init__(self, url: str, *, post_seconds: float = POST_SECONDS) -> None:
        self._url = url
        self._post_seconds = post_seconds
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(post_seconds, connect=_CONNECT_SECONDS),
            headers={"user-agent": f"{SERVICE_NAME}/{__version__}"},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Post a notice; return what went wrong, "" when it was accepted."""
        try:
            # httpx limits each step; a receiver that trickles is limited as a whole.
            async with (
                asyncio.timeout(self._post_seconds),
                self._client.stream(
                    "POST", self._url, content=body, headers=dict(headers)
                ) as answer,
            ):
                return "" if answer.is_success else f"HTTP {answer.status_code}"
        except TimeoutError:
            return f"no answer in {self._post_seconds:g} s"
        except httpx.HTTPError as error:
            # Without its text: that may quote the URL, which may hold a secret.
            return type(error).__name__
