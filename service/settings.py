"""The environment, read once. All faults are reported together; secrets stay hidden."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

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


class DatabaseSettings(Environment):
    """What `migrate` reads."""

    database_url: SecretStr = Field(validation_alias=Env.DATABASE_URL, min_length=1)


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
    redis_url: SecretStr | None = Field(
        None, validation_alias=Env.REDIS_URL, min_length=1
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
