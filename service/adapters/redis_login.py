"""How one logs in to a Redis or Valkey: by its URL, or with a token; TLS if wanted.

A token is shown in `AUTH` when a connection begins. Google says of Memorystore for
Valkey that such a connection outlives its token, and of its sister for Redis Cluster
that it is good for 12 hours. Neither matters here: who keeps a connection makes a new
one before the token ends, because a subscribed connection (RESP2) takes no `AUTH`.
"""

import ssl
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError

from service.adapters.authority import trusting
from service.adapters.google_login import AccessToken, AccessTokens
from service.contract import Env
from service.errors import Fault, SettingsError, UnavailableError

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 2.0


class TokenCredentials(CredentialProvider):
    """Shows the current token, as the cache's one user."""

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens
        self._shown: AccessToken | None = None

    async def get_credentials_async(self) -> tuple[str]:
        """Return what `AUTH` takes."""
        try:
            self._shown = await self._tokens.get()
        except UnavailableError as error:
            # For any other error redis-py would keep the connection, logged in or not.
            raise RedisConnectionError(str(error)) from error
        return (self._shown.value,)

    def refused(self) -> None:
        """Learn that what was shown last was not taken."""
        if self._shown is not None:
            self._tokens.refused(self._shown)


def new_client(
    url: str, *, authority: str = "", credentials: TokenCredentials | None = None
) -> "Redis":
    """Return a client that is not connected yet.

    Args:
        url: `redis://` or `rediss://`.
        authority: Who signed the server's certificate, as PEM text; "": as the URL
            says. The certificate's name is checked only if the URL says
            `ssl_check_hostname=true`.
        credentials: What to show instead of what the URL says.

    Raises:
        SettingsError: the URL is none.
    """
    try:
        options: dict[str, Any] = dict(parse_url(url))
    except ValueError:
        # Without the cause: it may quote the password.
        fault = Fault(Env.REDIS_URL, "must be redis://… or rediss://…")
        raise SettingsError(str(fault), faults=[fault]) from None
    if authority:
        check_name = bool(options.pop("ssl_check_hostname", False))
        options["connection_class"] = _OwnAuthority
        options["trusting"] = trusting(authority, check_name=check_name)
    if credentials is not None:
        options.pop("username", None)
        options["credential_provider"] = credentials
    pool = ConnectionPool(
        **{
            "protocol": 2,
            "socket_timeout": ANSWER_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_keepalive": True,
            # A connection that died since its last use; a hint may come twice.
            "retry": Retry(NoBackoff(), 1),
            **options,
        }
    )
    return Redis.from_pool(pool)


class _OwnAuthority(SSLConnection):
    """TLS with one authority only; redis-py by itself trusts the system's, too."""

    def __init__(self, *, trusting: ssl.SSLContext, **options: Any) -> None:  # noqa: ANN401 -- redis-py's own
        super().__init__(**options)
        self.ssl_context.context = trusting
