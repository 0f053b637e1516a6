"""How this process logs in to the database and to the cache."""

from service.adapters.database_access import DatabaseAccess
from service.adapters.google_login import CACHE_SCOPE, DATABASE_SCOPE, AccessTokens
from service.settings import DatabaseSettings, Settings


def database_access(settings: DatabaseSettings) -> DatabaseAccess:
    """Return where the database is, and what is shown there."""
    tokens = None
    if settings.database_login == "google":
        tokens = AccessTokens(settings.metadata_host, scope=DATABASE_SCOPE)
    return DatabaseAccess(
        url=settings.database_url.get_secret_value(),
        authority=settings.database_ca or "",
        tokens=tokens,
    )


def cache_tokens(settings: Settings) -> AccessTokens | None:
    """Return what is shown to the cache instead of what its URL says."""
    if settings.redis_login != "google":
        return None
    return AccessTokens(settings.metadata_host, scope=CACHE_SCOPE)
