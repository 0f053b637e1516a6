"""Keys of an identity provider: fetched, kept, and looked at again when needed."""

import asyncio
from collections.abc import Awaitable, Callable

import jwt
import structlog

from service.app.health import Dependency
from service.contract import LogEvent, LogField
from service.errors import AuthenticationError, UnavailableError
from service.transport.auth.claims import (
    Rules,
    VerificationKey,
    checked,
    principal_of,
)
from service.transport.auth.key_set import KeySet, parse_key_set
from service.transport.auth.principal import Principal

REFRESH_SECONDS = 300.0
PAUSE_SECONDS = 10.0  # between two fetches, whatever tokens come
START_SECONDS = 15.0
_FIRST_WAIT_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 4.0

log = structlog.get_logger()


class KeyCache:
    """The keys that a provider lists now, as far as known.

    While its document is away, or is no key set, the last good keys hold.

    Args:
        fetch: Returns the document, or raises `UnavailableError`.
        monotonic: The clock.
        failed: Called after each fetch that brought no keys.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        monotonic: Callable[[], float],
        failed: Callable[[], None],
    ) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._failed = failed
        self._keys: KeySet | None = None
        self._fetched_at: float | None = None  # the last good one
        self._tried_at: float | None = None
        self._problem = "not asked yet"  # of the last fetch; "" when it was good
        self._asked = asyncio.Event()
        self._fetching = asyncio.Lock()

    # ---- keeping ----

    async def start(self, *, within_seconds: float = START_SECONDS) -> None:
        """Fetch until there are keys.

        Raises:
            UnavailableError: there are none in that time.
        """
        give_up_at = self._monotonic() + within_seconds
        wait_seconds = _FIRST_WAIT_SECONDS
        while not await self._refreshed():
            if self._monotonic() + wait_seconds > give_up_at:
                raise UnavailableError(f"no keys to check tokens: {self._problem}")
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)

    async def run(self) -> None:
        """Fetch every five minutes, and when asked to, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                pass
            self._asked.clear()
            await self.look_again()

    async def look_again(self) -> None:
        """Fetch, unless that was done within the last seconds; wait for one that runs.

        So a flood of tokens with unknown keys costs the provider one request in ten
        seconds.
        """
        async with self._fetching:
            if not self._tried_lately():
                await self._refreshed()

    async def _refreshed(self) -> bool:
        self._tried_at = self._monotonic()
        try:
            keys = parse_key_set(await self._fetch())
        except UnavailableError as error:
            self._problem = error.message
            self._failed()
            log.warning(LogEvent.KEYS_UNAVAILABLE, **{LogField.REASON: error.message})
            return False
        self._note(keys)
        return True

    def _note(self, keys: KeySet) -> None:
        if self._keys is None or self._keys.ids != keys.ids:
            log.info(
                LogEvent.KEYS_CHANGED,
                left_out=keys.left_out,
                **{LogField.COUNT: len(keys.every)},
            )
        self._keys, self._problem = keys, ""
        self._fetched_at = self._monotonic()

    def _tried_lately(self) -> bool:
        return self._tried_at is not None and (
            self._monotonic() - self._tried_at < PAUSE_SECONDS
        )

    # ---- use ----

    def find(self, kid: object) -> VerificationKey:
        """Return the key that a token names; without a name, the only key.

        Raises:
            AuthenticationError: there is none.
            UnavailableError: there may be one: the keys are looked at again, or
                could not be at the last time.
        """
        if self._keys is None:
            raise self._not_now()
        if kid is None:
            if len(self._keys.every) == 1:
                return self._keys.every[0]
            raise AuthenticationError("token: its kid is missing", reason="key")
        key = self._keys.by_kid.get(kid) if isinstance(kid, str) else None
        if key is not None:
            return key
        if self._fetching.locked() or self._problem or not self._tried_lately():
            raise self._not_now()
        raise AuthenticationError("token: its kid is unknown", reason="key")

    def holds(self, key_id: str | None) -> bool:
        """Whether the provider lists a key, as far as known."""
        return self._keys is not None and key_id in self._keys.ids

    def health(self) -> Dependency:
        """Tell whether there are keys, and how old they are."""
        if self._keys is None or self._fetched_at is None:
            return Dependency(ok=False, detail=f"no keys: {self._problem}")
        age = self._monotonic() - self._fetched_at
        count = len(self._keys.every)
        problem = f"; last try: {self._problem}" if self._problem else ""
        return Dependency(ok=True, detail=f"{count} keys, {age:.0f} s old{problem}")

    def _not_now(self) -> UnavailableError:
        self._asked.set()
        return UnavailableError("the keys are being looked at again; try again")


class SignedTokens:
    """Checks users' tokens that an identity provider signs; see `TokenReader`."""

    def __init__(self, keys: KeyCache, rules: Rules) -> None:
        self._keys = keys
        self._rules = rules

    def read(self, token: str) -> Principal:
        """Check a token with the key that it names."""
        key = self._keys.find(kid_of(token))
        return principal_of(checked(token, key, self._rules), key)

    async def look_again(self) -> None:
        """Learn of newer keys."""
        await self._keys.look_again()

    def vouches(self, key_id: str | None) -> bool:
        """Whether the key of a token is still listed."""
        return self._keys.holds(key_id)


def kid_of(token: str) -> object:
    """Return the name of a token's key: all that its header is asked for."""
    try:
        return jwt.get_unverified_header(token).get("kid")
    except jwt.InvalidTokenError as exc:
        raise AuthenticationError(f"token: {exc}", reason="malformed") from exc
