"""Authentication, put together as the settings say."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from service.app.controls import Controls
from service.app.health import Dependency
from service.app.ports import Clock, SecretStore
from service.app.revocations import Revocations
from service.observe.metrics import Metrics
from service.settings import Settings
from service.transport.auth.claims import Rules, TokenReader
from service.transport.auth.credentials import Credentials
from service.transport.auth.google import GoogleOperators
from service.transport.auth.jwks import KeyCache, SignedTokens
from service.transport.auth.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """Everything that decides who somebody is.

    Attributes:
        credentials: What the routes and the sockets ask.
        revocations: Whose credentials were withdrawn.
        signer: Signs tokens, where AUTH_SECRET is set.
        user_keys: The identity provider's keys, where AUTH_JWKS_URL is set.
        operator_keys: Google's, where operators are listed.
    """

    credentials: Credentials
    revocations: Revocations
    signer: Tokens | None
    user_keys: KeyCache | None
    operator_keys: KeyCache | None

    async def start(self) -> None:
        """Fetch the keys that users' tokens need.

        Raises:
            UnavailableError: there are none.
        """
        if self.user_keys is not None:
            await self.user_keys.start()

    async def run(self) -> None:
        """Keep the keys fresh until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for keys in self._all_keys():
                tasks.create_task(keys.run())

    def dependencies(self) -> Mapping[str, Dependency]:
        """Tell how the identity provider is, where there is one.

        Google's keys are not among them: without them users are served as before.
        """
        return {} if self.user_keys is None else {"keys": self.user_keys.health()}

    def _all_keys(self) -> Sequence[KeyCache]:
        return [k for k in (self.user_keys, self.operator_keys) if k is not None]


def authentication(
    settings: Settings,
    *,
    store: SecretStore,
    controls: Controls,
    fetch: Callable[[str], Awaitable[bytes]],
    clock: Clock,
    metrics: Metrics,
) -> Authentication:
    """Put authentication together.

    Args:
        settings: See there.
        store: Keeps tickets and codes.
        controls: Where revocations are heard of.
        fetch: Returns the document at a URL.
        clock: See there.
        metrics: See there.
    """

    def cache(url: str) -> KeyCache:
        return KeyCache(
            lambda: fetch(url),
            monotonic=clock.monotonic,
            failed=metrics.keys_failed.inc,
        )

    signer = _signer(settings, clock)
    user_keys = (
        None if settings.auth_jwks_url is None else cache(settings.auth_jwks_url)
    )
    listed = settings.operator_audience is not None
    operator_keys = cache(settings.google_jwks_url) if listed else None
    revocations = Revocations(controls)
    credentials = Credentials(
        _tokens(settings, signer, user_keys, clock),
        store=store,
        wall=clock.wall,
        monotonic=clock.monotonic,
        operators=_operators(settings, operator_keys, clock),
        signer=signer,
        revocations=revocations,
        rejected=metrics.auth_rejected,
    )
    return Authentication(
        credentials=credentials,
        revocations=revocations,
        signer=signer,
        user_keys=user_keys,
        operator_keys=operator_keys,
    )


def _signer(settings: Settings, clock: Clock) -> Tokens | None:
    if settings.auth_secret is None:
        return None
    return Tokens(
        secret=settings.auth_secret.get_secret_value(),
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        wall=clock.wall,
        leeway_seconds=settings.auth_leeway_seconds,
    )


def _tokens(
    settings: Settings, signer: Tokens | None, keys: KeyCache | None, clock: Clock
) -> TokenReader:
    if keys is not None:
        rules = Rules(
            issuers=[settings.auth_issuer],
            audience=settings.auth_audience,
            leeway_seconds=settings.auth_leeway_seconds,
            wall=clock.wall,
        )
        return SignedTokens(keys, rules)
    if signer is not None:
        return signer
    raise AssertionError("the settings require a secret or keys")


def _operators(
    settings: Settings, keys: KeyCache | None, clock: Clock
) -> TokenReader | None:
    if keys is None or settings.operator_audience is None:
        return None
    return GoogleOperators(
        keys,
        audience=settings.operator_audience,
        accounts=settings.operator_accounts,
        leeway_seconds=settings.auth_leeway_seconds,
        wall=clock.wall,
    )
