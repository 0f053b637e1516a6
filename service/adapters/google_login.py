"""Access tokens of this instance's own service account, instead of stored passwords.

The platform's metadata server gives them to whoever asks from inside the instance.
What was looked up about it (Google's documentation and its own Python library,
google-auth 2.x, `compute_engine/_metadata.py` and `_helpers.py`):

- Requests carry `Metadata-Flavor: Google`, and so do true answers: it tells the
  metadata server from anything else that happens to answer there.
- A token lives for an hour. The server gives the same one again until 4 to 5 minutes
  before its end, so a new one cannot be had before; google-auth asks from 3:45 on.
- `?scopes=` narrows a token. Cloud Run honours it, Compute Engine ignores it.
- 408, 429, 500 and 503 are worth another try.

Cloud SQL takes a token with the scope `sqlservice.login`, as its own connectors ask
for, in place of the database user's password, over TLS only. Memorystore for Valkey
takes one with `cloud-platform` in `AUTH`, for its only user, `default`.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import httpx

from service.errors import UnavailableError

DATABASE_SCOPE = "https://www.googleapis.com/auth/sqlservice.login"
CACHE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
_FLAVOR = {"Metadata-Flavor": "Google"}
_ATTEMPTS = 3
_ATTEMPT_SECONDS = 1.0  # all attempts take less than a connection may
_FIRST_PAUSE_SECONDS = 0.1
_MAX_BYTES = 64 * 1024
_TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
_FRESH_BEFORE_END_SECONDS = 225.0
# With less left it could end on its way to whoever checks it.
_VALID_BEFORE_END_SECONDS = 10.0
# While the metadata server is away a token that still holds is used on, and the
# server asked so rarely that logins are not held up.
_ASK_AGAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token, and until when it is good, by the clock of its source."""

    value: str = field(repr=False)
    fresh_until: float  # from then on a new one is asked for
    valid_until: float


class AccessTokens:
    """Gives the current token of one scope; asks for a new one before it ends.

    Of many who need a new one at the same time, one asks. Tokens are kept in memory
    only, and shown in no log, error or repr.

    Args:
        host: The metadata server, with its port unless that is 80.
        scope: What the tokens are good for.
        attempt_seconds: How long one of the three attempts may take.
    """

    def __init__(
        self,
        host: str,
        *,
        scope: str,
        attempt_seconds: float = _ATTEMPT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = f"http://{host}{_PATH}"
        self._scope = scope
        self._attempt_seconds = attempt_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._kept: AccessToken | None = None
        # Set while somebody asks; its result is what went wrong, if anything.
        self._asking: asyncio.Future[UnavailableError | None] | None = None

    async def get(self) -> AccessToken:
        """Return a token to log in with now.

        Raises:
            UnavailableError: there is none, and the metadata server gives none.
        """
        while (kept := self._fresh()) is None:
            if self._asking is None:
                return self._usable(await self._ask())
            fault = await asyncio.shield(self._asking)
            if fault is not None:
                return self._usable(fault)
        return kept

    def refused(self, token: AccessToken) -> None:
        """Learn that somebody did not take it: the next one is asked for."""
        if self._kept is not None and self._kept.value == token.value:
            self._kept = None

    def _fresh(self) -> AccessToken | None:
        if self._kept is None or self._monotonic() >= self._kept.fresh_until:
            return None
        return self._kept

    def _usable(self, fault: UnavailableError | None) -> AccessToken:
        if self._kept is not None and self._monotonic() < self._kept.valid_until:
            return self._kept
        raise UnavailableError(str(fault)) from fault

    async def _ask(self) -> UnavailableError | None:
        """Ask while the others wait. If we are cancelled, one of them asks."""
        asking = self._asking = asyncio.get_running_loop().create_future()
        fault: UnavailableError | None = None
        try:
            self._kept = await self._fetch()
        except UnavailableError as error:
            fault = error
            self._rest()
        finally:
            self._asking = None
            asking.set_result(fault)
        return fault

    def _rest(self) -> None:
        if self._kept is not None:
            later = self._monotonic() + _ASK_AGAIN_SECONDS
            end = self._kept.valid_until
            self._kept = replace(self._kept, fresh_until=min(later, end))

    async def _fetch(self) -> AccessToken:
        pause = _FIRST_PAUSE_SECONDS
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._fetch_once()
            except _TemporaryError:
                await self._sleep(pause)
            pause *= 2
        return await self._fetch_once()

    async def _fetch_once(self) -> AccessToken:
        asked_at = self._monotonic()
        try:
            async with asyncio.timeout(self._attempt_seconds):
                status, flavor, body = await self._request()
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            raise _TemporaryError(
                f"the metadata server is away: {type(error).__name__} {error}".rstrip()
            ) from None
        if flavor != _FLAVOR["Metadata-Flavor"]:
            raise UnavailableError(
                "what answers in the metadata server's place is none: "
                "no Metadata-Flavor: Google"
            )
        if status != httpx.codes.OK:
            kind = _TemporaryError if status in _TEMPORARY else UnavailableError
            hint = "; has the instance a service account?" if status == 404 else ""
            raise kind(f"the metadata server answered {status}{hint}")
        return _read(body, asked_at)

    async def _request(self) -> tuple[int, str | None, bytes]:
        # No proxy: this is the one address that must never lead through one.
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            client.stream(
                "GET",
                self._url,
                params={"scopes": self._scope},
                headers=_FLAVOR,
                timeout=self._attempt_seconds,
            ) as said,
        ):
            body = bytearray()
            async for chunk in said.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BYTES:
                    break
            return said.status_code, said.headers.get("Metadata-Flavor"), bytes(body)


class _TemporaryError(UnavailableError):
    """May go well the next time."""


def _read(body: bytes, asked_at: float) -> AccessToken:
    """Return the token in an answer; complaints never quote it."""
    try:
        said = json.loads(body)
        value, seconds = said["access_token"], said["expires_in"]
        whole = isinstance(value, str) and bool(value) and float(seconds) > 0
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise UnavailableError("the metadata server answered without a token") from None
    lifetime = float(seconds)
    # Half of its life where that is short, so that not every login asks.
    fresh = max(lifetime - _FRESH_BEFORE_END_SECONDS, lifetime / 2)
    valid = max(lifetime - _VALID_BEFORE_END_SECONDS, lifetime / 2)
    return AccessToken(
        value=value, fresh_until=asked_at + fresh, valid_until=asked_at + valid
    )
