"""The environment, read once. All faults are reported together; secrets stay hidden."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
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
                Fault(".".join(map(str, one["loc"])), one["msg"])
                for one in exc.errors(include_input=False, include_url=False)
            ]
            text = "; ".join(map(str, faults))
            raise SettingsError(text, faults=faults) from None


class DatabaseSettings(Environment):
    """What `migrate` reads."""

    database_url: SecretStr = Field(validation_alias=Env.DATABASE_URL, min_length=1)


class Settings(DatabaseSettings):
    """What `serve` reads.

    `allowed_hosts` and `allowed_origins` are exact; nothing is allowed by default.
    """

    auth_secret: SecretStr = Field(
        validation_alias=Env.AUTH_SECRET, min_length=MIN_SECRET_CHARS
    )
    auth_issuer: str = Field("event-service", validation_alias=Env.AUTH_ISSUER)
    auth_audience: str = Field("event-service", validation_alias=Env.AUTH_AUDIENCE)
    allowed_hosts: _Names = Field(validation_alias=Env.ALLOWED_HOSTS)
    allowed_origins: _Names = Field(validation_alias=Env.ALLOWED_ORIGINS)

    bind_host: str = Field("127.0.0.1", validation_alias=Env.BIND_HOST)
    port: int = Field(8080, validation_alias=Env.PORT, ge=0, le=65_535)
    metrics_port: int = Field(9090, validation_alias=Env.METRICS_PORT, ge=0, le=65_535)
    environment: Literal["development", "staging", "prod"] = Field(
        "prod", validation_alias=Env.ENVIRONMENT
    )
    revision: str = Field("local", validation_alias=Env.REVISION)
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

    hello_wait_seconds: _Seconds = Field(5.0, validation_alias=Env.HELLO_WAIT_SECONDS)
    ack_wait_seconds: _Seconds = Field(10.0, validation_alias=Env.ACK_WAIT_SECONDS)
    pong_wait_seconds: _Seconds = Field(8.0, validation_alias=Env.PONG_WAIT_SECONDS)
    heartbeat_seconds: _Seconds = Field(25.0, validation_alias=Env.HEARTBEAT_SECONDS)
    sweep_seconds: _Seconds = Field(1.0, validation_alias=Env.SWEEP_SECONDS)
    write_wait_seconds: _Seconds = Field(10.0, validation_alias=Env.WRITE_WAIT_SECONDS)
    window_events: int = Field(256, validation_alias=Env.WINDOW_EVENTS, ge=1, le=4_096)
    window_bytes: int = Field(1024 * 1024, validation_alias=Env.WINDOW_BYTES, ge=1_024)
    frame_events: int = Field(16, validation_alias=Env.FRAME_EVENTS, ge=1, le=256)
    frame_rate: float = Field(1_000.0, validation_alias=Env.FRAME_RATE, gt=0)

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _no_wildcards(cls, value: frozenset[str]) -> frozenset[str]:
        for origin in value:
            if not origin.startswith(("http://", "https://")) or "*" in origin:
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
