"""Where the database is, and how one logs in there: every connection is made here."""

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import asyncpg

from service.adapters.authority import trusting
from service.adapters.google_login import AccessTokens
from service.contract import Env
from service.errors import Fault, SettingsError, UnavailableError

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, kw_only=True)
class DatabaseAccess:
    """A database's address, and what one shows there.

    Args:
        url: For asyncpg; with `tokens` it has no password.
        authority: Who signed the server's certificate, as PEM text; "": as the URL
            says. With it there is TLS or no connection; the name in the certificate
            is checked only if the URL says `sslmode=verify-full`.
        tokens: What to show instead of a password.
    """

    url: str = field(repr=False)
    authority: str = field(default="", repr=False)
    tokens: AccessTokens | None = None

    async def connect(self, **options: Any) -> Connection:  # noqa: ANN401 -- asyncpg's own
        """Open a connection; `options` are those of `asyncpg.connect`.

        A token that is refused is asked for anew, once: it may have been withdrawn.

        Raises:
            UnavailableError: there is no token, or the server takes not even a new one.
            SettingsError: another authority signed the server's certificate.
        """
        try:
            return await self._log_in(options)
        except ssl.SSLCertVerificationError as error:
            fault = Fault(
                Env.DATABASE_CA,
                f"did not sign the certificate of the server: {error.verify_message}",
            )
            raise SettingsError(str(fault), faults=[fault]) from error

    async def _log_in(self, options: dict[str, Any]) -> Connection:
        if self._tls is not None:
            options |= {"ssl": self._tls}
        if self.tokens is None:
            return await asyncpg.connect(self.url, **options)
        token = await self.tokens.get()
        try:
            return await asyncpg.connect(self.url, password=token.value, **options)
        except asyncpg.InvalidAuthorizationSpecificationError:
            self.tokens.refused(token)
        token = await self.tokens.get()
        try:
            return await asyncpg.connect(self.url, password=token.value, **options)
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise UnavailableError(_REFUSED.format(error)) from error

    @cached_property
    def _tls(self) -> ssl.SSLContext | None:
        if not self.authority:
            return None
        modes = parse_qs(urlsplit(self.url).query).get("sslmode", [])
        return trusting(self.authority, check_name=modes == ["verify-full"])


_REFUSED = (
    "the database takes no new token either: {} (is the service account a user of the "
    "instance, with roles/cloudsql.instanceUser? a new grant takes minutes)"
)

# A bare URL: a login as it says itself.
Where: TypeAlias = DatabaseAccess | str


def access_to(where: Where) -> DatabaseAccess:
    """Return how to reach a database of which perhaps only the URL is known."""
    return DatabaseAccess(url=where) if isinstance(where, str) else where
