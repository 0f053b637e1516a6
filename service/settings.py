"""The environment, read once. All faults are reported together; secrets stay hidden."""

import base64
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.contract import Env
from service.errors import Fault, SettingsError

MIN_SECRET_CHARS = 32

_Seconds = Annotated[float, Field(gt=0)]
_Names = Annotated[frozenset[str], NoDecode]


class Environment(BaseSettings):
    """Settings that are read from the environment, and only from there."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, values: Mapping[str, object] | None = None) -> Self:
        """Read the environment; `values`, by variable, come before it.

        Raises:
            SettingsError: names every variable that is missing or wrong.
        """
        try:
            return cls(**(values or {}))
        except ValidationError as exc:
            # The values are left out: one of them may be a secret.
            faults = [
                Fault(".".join(map(cls._variable, one["loc"])), one["msg"])
                for one in exc.errors(include_input=False, include_url=False)
            ]
            text = "; ".join(map(str, faults))
            raise SettingsError(text, faults=faults) from None

    @classmethod
    def _variable(cls, place: int | str) -> str:
        # A default that breaks a rule is reported by its field's name.
        field = cls.model_fields.get(str(place))
        return str(place if field is None else field.validation_alias)


def environment_with(**more: str) -> dict[str, str]:
    """Return this process's environment with some variables more, for a child."""
    return {**os.environ, **more}


def check_webhook_url(url: str, *, development: bool) -> None:
    """Raise ValueError if a webhook must not be posted there."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.fragment:
        raise ValueError("must be a URL with a host, without user or fragment")
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    plain = parts.scheme == "http" and (loopback or development)
    if parts.scheme != "https" and not plain:
        raise ValueError("must be https; http only to this machine or in development")


def check_keys_url(url: str, *, development: bool) -> None:
    """Raise ValueError if keys must not be fetched from there."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.fragment:
        raise ValueError("must be a URL with a host, without user or fragment")
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (
        parts.scheme == "http" and loopback and development
    ):
        raise ValueError("must be https; http only to this machine in development")


def check_webhook_secret(secret: str) -> None:
    """Raise ValueError if a secret in Standard Webhooks' form is not base64."""
    if secret.startswith("whsec_"):
        try:
            base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            raise ValueError("must be base64 after whsec_") from None


def check_authority(certificates: str) -> None:
    """Raise ValueError if there is no certificate in it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=certificates
        )
    except (ssl.SSLError, ValueError):
        raise ValueError("must be certificates as PEM text") from None


def check_tls_url(url: str) -> None:
    """Raise ValueError if a database is not reached over TLS there."""
    parts, query = _split(url)
    if not parts.hostname or "," in parts.netloc or "host" in query:
        raise ValueError(f"must name one TCP host where {Env.DATABASE_CA} is set")
    if query.get("sslmode", "verify-ca") not in ("verify-ca", "verify-full"):
        raise ValueError(
            f"sslmode is verify-ca or verify-full where {Env.DATABASE_CA} is set"
        )


def check_token_url(url: str) -> None:
    """Raise ValueError if a token cannot be the one credential of a database there."""
    parts, query = _split(url)
    if parts.password is not None or query.keys() & {"password", "passfile"}:
        raise ValueError(f"must have no password where {Env.DATABASE_LOGIN} is google")
    if not parts.username and "user" not in query:
        raise ValueError(
            "must name the database user (a service account without "
            ".gserviceaccount.com, its @ as %40)"
        )


def check_token_cache_url(url: str) -> None:
    """Raise ValueError if a token cannot be the one credential of a cache there."""
    parts, query = _split(url)
    if parts.scheme != "rediss":
        raise ValueError(f"must be rediss://… where {Env.REDIS_LOGIN} is google")
    if parts.password is not None or "password" in query:
        raise ValueError(f"must have no password where {Env.REDIS_LOGIN} is google")


def _split(url: str) -> tuple[SplitResult, dict[str, str]]:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # Without the cause: it may quote a part of a password.
        raise ValueError("not a URL; escape special characters") from None
    return parts, {name: values[-1] for name, values in parse_qs(parts.query).items()}


class DatabaseSettings(Environment):
    """What every command reads that needs the database."""

    database_login: Literal["password", "google"] = Field(
        "password", validation_alias=Env.DATABASE_LOGIN
    )
    database_url: SecretStr = Field(validation_alias=Env.DATABASE_URL, min_length=1)
    database_ca: str | None = Field(
        None,
        validation_alias=Env.DATABASE_CA,
        min_length=1,
        validate_default=True,
        repr=False,
    )
    metadata_host: str = Field(
        "metadata.google.internal",
        validation_alias=Env.METADATA_HOST,
        pattern=r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?$",
    )

    @field_validator("database_url")
    @classmethod
    def _no_stored_password(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if info.data.get("database_login") == "google":
            check_token_url(value.get_secret_value())
            check_tls_url(value.get_secret_value())
        return value

    @field_validator("database_ca")
    @classmethod
    def _known_authority(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            if info.data.get("database_login") == "google":
                raise ValueError(f"is required where {Env.DATABASE_LOGIN} is google")
            return None
        check_authority(value)
        if "database_url" in info.data:
            url: SecretStr = info.data["database_url"]
            check_tls_url(url.get_secret_value())
        return value


class MigrationSettings(DatabaseSettings):
    """What `migrate` reads."""

    database_runtime_user: str | None = Field(
        None, validation_alias=Env.DATABASE_RUNTIME_USER, min_length=1, max_length=63
    )


class Settings(DatabaseSettings):
    """What `serve` reads.

    `allowed_hosts` and `allowed_origins` are exact; nothing is allowed by default.
    """

    auth_issuer: str = Field("event-service", validation_alias=Env.AUTH_ISSUER)
    auth_audience: str = Field("event-service", validation_alias=Env.AUTH_AUDIENCE)
    auth_leeway_seconds: float = Field(
        30.0, validation_alias=Env.AUTH_LEEWAY_SECONDS, ge=0, le=300
    )
    allowed_hosts: _Names = Field(validation_alias=Env.ALLOWED_HOSTS)
    allowed_origins: _Names = Field(validation_alias=Env.ALLOWED_ORIGINS)

    bind_host: str = Field("127.0.0.1", validation_alias=Env.BIND_HOST)
    port: int = Field(8080, validation_alias=Env.PORT, ge=0, le=65_535)
    metrics_port: int = Field(9090, validation_alias=Env.METRICS_PORT, ge=0, le=65_535)
    environment: Literal["development", "staging", "prod"] = Field(
        "prod", validation_alias=Env.ENVIRONMENT
    )
    auth_jwks_url: str | None = Field(
        None, validation_alias=Env.AUTH_JWKS_URL, min_length=1
    )
    # Either this or the one above; no field without a default may say so, so that
    # `serve` names everything that is missing.
    auth_secret: Annotated[SecretStr, Field(min_length=MIN_SECRET_CHARS)] | None = (
        Field(None, validation_alias=Env.AUTH_SECRET, validate_default=True)
    )
    operator_audience: str | None = Field(
        None, validation_alias=Env.OPERATOR_AUDIENCE, min_length=1
    )
    operator_accounts: _Names = Field(
        frozenset(), validation_alias=Env.OPERATOR_ACCOUNTS, validate_default=True
    )
    google_jwks_url: str = Field(
        "https://www.googleapis.com/oauth2/v3/certs",
        validation_alias=Env.GOOGLE_JWKS_URL,
    )
    revision: str = Field("local", validation_alias=Env.REVISION)
    workers: int = Field(1, validation_alias=Env.WORKERS, ge=1, le=32)
    worker_slot: int | None = Field(None, validation_alias=Env.WORKER_SLOT, ge=1)
    google_cloud_project: str | None = Field(
        None, validation_alias=Env.GOOGLE_CLOUD_PROJECT
    )
    otlp_endpoint: str | None = Field(
        None,
        validation_alias=Env.OTEL_EXPORTER_OTLP_ENDPOINT,
        pattern=r"^(https?://.+)?$",  # empty, as some platforms leave it: none
    )
    log_format: Literal["json", "console"] = Field(
        "json", validation_alias=Env.LOG_FORMAT
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias=Env.LOG_LEVEL
    )

    database_pool_size: int = Field(
        10, validation_alias=Env.DATABASE_POOL_SIZE, ge=6, le=200
    )
    database_statement_timeout_seconds: _Seconds = Field(
        10.0, validation_alias=Env.DATABASE_STATEMENT_TIMEOUT_SECONDS
    )

    wakeups: Literal["auto", "postgres", "redis", "off"] = Field(
        "auto", validation_alias=Env.WAKEUPS
    )
    redis_login: Literal["none", "google"] = Field(
        "none", validation_alias=Env.REDIS_LOGIN
    )
    redis_url: SecretStr | None = Field(
        None, validation_alias=Env.REDIS_URL, min_length=1
    )
    redis_ca: str | None = Field(
        None,
        validation_alias=Env.REDIS_CA,
        min_length=1,
        validate_default=True,
        repr=False,
    )

    hello_wait_seconds: _Seconds = Field(5.0, validation_alias=Env.HELLO_WAIT_SECONDS)
    ack_wait_seconds: _Seconds = Field(10.0, validation_alias=Env.ACK_WAIT_SECONDS)
    pong_wait_seconds: _Seconds = Field(8.0, validation_alias=Env.PONG_WAIT_SECONDS)
    heartbeat_seconds: _Seconds = Field(25.0, validation_alias=Env.HEARTBEAT_SECONDS)
    request_timeout_seconds: _Seconds = Field(
        600.0, validation_alias=Env.REQUEST_TIMEOUT_SECONDS
    )
    sweep_seconds: _Seconds = Field(1.0, validation_alias=Env.SWEEP_SECONDS)
    write_wait_seconds: _Seconds = Field(10.0, validation_alias=Env.WRITE_WAIT_SECONDS)
    window_events: int = Field(256, validation_alias=Env.WINDOW_EVENTS, ge=1, le=4_096)
    window_bytes: int = Field(1024 * 1024, validation_alias=Env.WINDOW_BYTES, ge=1_024)
    retention_settled_hours: float = Field(
        168.0, validation_alias=Env.RETENTION_SETTLED_HOURS, gt=0
    )
    retention_dead_letter_days: float = Field(
        30.0, validation_alias=Env.RETENTION_DEAD_LETTER_DAYS, gt=0
    )
    frame_events: int = Field(16, validation_alias=Env.FRAME_EVENTS, ge=1, le=256)
    frame_rate: float = Field(1_000.0, validation_alias=Env.FRAME_RATE, gt=0)
    publish_rate: float = Field(5_000.0, validation_alias=Env.PUBLISH_RATE, gt=0)
    publish_burst: int = Field(10_000, validation_alias=Env.PUBLISH_BURST, ge=1)
    max_connections: int = Field(1_000, validation_alias=Env.MAX_CONNECTIONS, ge=5)
    max_unauthenticated: int = Field(
        100, validation_alias=Env.MAX_UNAUTHENTICATED, ge=1
    )
    trusted_proxies: int = Field(0, validation_alias=Env.TRUSTED_PROXIES, ge=0, le=10)

    webhook_url: SecretStr | None = Field(
        None, validation_alias=Env.WEBHOOK_URL, min_length=1
    )
    webhook_secret: SecretStr | None = Field(
        None, validation_alias=Env.WEBHOOK_SECRET, min_length=MIN_SECRET_CHARS
    )

    @property
    def wakeup_channel(self) -> Literal["postgres", "redis", "off"]:
        """What carries wake-ups between nodes, when all is considered."""
        if self.wakeups != "auto":
            return self.wakeups
        return "postgres" if self.redis_url is None else "redis"

    @field_validator("redis_url")
    @classmethod
    def _redis_where_wanted(
        cls, value: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if value is None and info.data.get("wakeups") == "redis":
            raise ValueError("is required where WAKEUPS is redis")
        if value is not None and info.data.get("redis_login") == "google":
            check_token_cache_url(value.get_secret_value())
        return value

    @field_validator("redis_ca")
    @classmethod
    def _known_cache_authority(
        cls, value: str | None, info: ValidationInfo
    ) -> str | None:
        if value is None:
            if info.data.get("redis_login") == "google" and info.data.get("redis_url"):
                raise ValueError(f"is required where {Env.REDIS_LOGIN} is google")
            return None
        check_authority(value)
        url: SecretStr | None = info.data.get("redis_url")
        if url is not None and not url.get_secret_value().startswith("rediss://"):
            raise ValueError(f"is only for a {Env.REDIS_URL} with rediss://")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _posts_safely(
        cls, value: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if value is not None:
            check_webhook_url(
                value.get_secret_value(),
                development=info.data.get("environment") == "development",
            )
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _signs_what_is_posted(
        cls, value: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if (value is None) != (info.data.get("webhook_url") is None):
            raise ValueError(f"is set together with {Env.WEBHOOK_URL}, or not at all")
        if value is not None:
            check_webhook_secret(value.get_secret_value())
        return value

    @field_validator("auth_jwks_url", "google_jwks_url")
    @classmethod
    def _fetched_safely(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            development = info.data.get("environment") == "development"
            check_keys_url(value, development=development)
        return value

    @field_validator("auth_secret")
    @classmethod
    def _one_kind_of_key(
        cls, value: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        # Who knew the secret could sign for anybody, beside the provider.
        if "auth_jwks_url" in info.data and (value is None) == (
            info.data["auth_jwks_url"] is None
        ):
            raise ValueError(f"exactly one of it and {Env.AUTH_JWKS_URL} is required")
        return value

    @field_validator("operator_accounts")
    @classmethod
    def _operators_are_whole(
        cls, value: frozenset[str], info: ValidationInfo
    ) -> frozenset[str]:
        for account in value:
            if "@" not in account or "*" in account:
                raise ValueError(f"{account}: must be a whole e-mail address")
        audience = info.data.get("operator_audience")
        if "operator_audience" in info.data and bool(value) != bool(audience):
            raise ValueError(f"is set together with {Env.OPERATOR_AUDIENCE}, or not")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_are_exact(cls, value: frozenset[str]) -> frozenset[str]:
        if not value:
            raise ValueError("at least one host is required")
        for host in value:
            if "*" in host or "/" in host or host != host.lower():
                raise ValueError(f"{host}: must be a Host header, without wildcards")
        return value

    @field_validator(
        "allowed_hosts", "allowed_origins", "operator_accounts", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _no_wildcards(cls, value: frozenset[str]) -> frozenset[str]:
        for origin in value:
            parts = urlsplit(origin)
            whole = f"{parts.scheme}://{parts.netloc}".lower()
            if (
                parts.scheme not in ("http", "https")
                or "*" in origin
                or (origin != whole or not parts.hostname or parts.username is not None)
            ):
                raise ValueError(f"{origin}: must be a whole origin, without wildcards")
        return value


class DemoSettings(Environment):
    """What `demo` and `token` read beside or instead of `Settings`."""

    auth_secret: SecretStr | None = Field(None, validation_alias=Env.AUTH_SECRET)
    auth_issuer: str = Field("event-service", validation_alias=Env.AUTH_ISSUER)
    auth_audience: str = Field("event-service", validation_alias=Env.AUTH_AUDIENCE)
    data_dir: Path = Field(Path(".data"), validation_alias=Env.DATA_DIR)
    headless: bool = Field(False, validation_alias=Env.HEADLESS)
    ci: bool = Field(False, validation_alias=Env.CI)
    display: str = Field("", validation_alias=Env.DISPLAY)
    wayland_display: str = Field("", validation_alias=Env.WAYLAND_DISPLAY)
    anthropic_api_key: SecretStr | None = Field(
        None, validation_alias=Env.ANTHROPIC_API_KEY
    )
    openai_api_key: SecretStr | None = Field(None, validation_alias=Env.OPENAI_API_KEY)
    model_name: str | None = Field(None, validation_alias=Env.MODEL_NAME)
