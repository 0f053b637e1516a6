"""What an environment refuses: prod what weakens it, staging what only prod keeps."""

from infra.config.model import StackConfig
from infra.rules import SettingsReader


def check_environment(config: StackConfig, reader: SettingsReader) -> None:
    """Refuse settings that do not fit the environment."""
    if config.is_prod:
        _prod(config, reader)
    else:
        _staging(config, reader)


def _prod(config: StackConfig, reader: SettingsReader) -> None:
    bad = {
        "deletionProtection": (not config.deletion_protection, "true in prod"),
        "databaseAvailability": (
            config.database_availability != "REGIONAL",
            "REGIONAL in prod",
        ),
        "databaseBackups": (config.database_backups < 7, "7 or more in prod"),
        "maxInstances": (config.max_instances < 2, "2 or more in prod"),
        "cache": (not config.cache, "true in prod"),
        "cacheReplicas": (config.cache_replicas < 1, "1 or more in prod"),
        "cacheNodeType": (
            config.cache_node_type == "SHARED_CORE_NANO",
            "a node with a service level in prod, so not SHARED_CORE_NANO",
        ),
        "edge": (not config.edge, "true in prod"),
        "pagingChannel": (not config.paging_channel, "a channel in prod"),
        "allowedOrigins": (
            any(origin.startswith("http://") for origin in config.allowed_origins),
            "https origins in prod",
        ),
    }
    _refuse(bad, reader)


def _staging(config: StackConfig, reader: SettingsReader) -> None:
    bad = {
        "deletionProtection": (
            config.deletion_protection,
            "false in staging, which can be thrown away",
        ),
        "pagingChannel": (
            bool(config.paging_channel),
            "empty in staging, which wakes nobody",
        ),
    }
    _refuse(bad, reader)


def _refuse(bad: dict[str, tuple[bool, str]], reader: SettingsReader) -> None:
    for name, (broken, allowed) in bad.items():
        key = f"event-service:{name}"
        # A key that broke its own rule has an empty value that says nothing.
        if broken and reader.sound(key):
            reader.refuse(key, allowed=allowed)
