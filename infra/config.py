"""What one stack decides, read from `Pulumi.<stack>.yaml` and checked as a whole."""

from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv4Network
from pathlib import Path

import yaml

from infra.errors import ConfigError, Fault
from infra.rules import SettingsReader

ROOT = Path(__file__).resolve().parents[1]
STACKS = ("staging", "prod")
PLACEHOLDER_PROJECT = "REPLACE_ME"

_NAMESPACE = "event-service:"
_GIBIBYTES_PER_CPU = 4  # Cloud Run's limit


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """Everything a stack decides; valid as a whole."""

    stack: str
    project: str
    region: str
    image_digest: str
    min_instances: int
    max_instances: int
    cpu: int
    memory: str
    timeout_seconds: int
    deletion_protection: bool
    subnet_cidr: IPv4Network
    services_cidr: IPv4Network
    database_version: str
    database_tier: str
    database_availability: str
    cache: bool
    edge: bool
    alert_channel: str
    slo_publish_availability_percent: Decimal
    slo_confirmed_within_5s_percent: Decimal
    slo_window_days: int

    @property
    def missing(self) -> tuple[str, ...]:
        """What a person must still fill in before this stack can exist."""
        project = ("gcp:project",) if self.project == PLACEHOLDER_PROJECT else ()
        image = () if self.image_digest else (f"{_NAMESPACE}imageDigest",)
        return project + image


def load_stack(stack: str, *, root: Path = ROOT) -> StackConfig:
    """Read and check one stack's file.

    :raises ConfigError: naming every key that is missing, unknown or wrong.
    """
    path = root / f"Pulumi.{stack}.yaml"
    reader = SettingsReader(_settings(path))
    config = _read(stack, reader)
    reader.finish()
    _check_together(config, reader)
    if reader.faults:
        raise ConfigError(source=path.name, faults=reader.faults)
    return config


def _settings(path: Path) -> dict[str, object]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as fault:
        raise ConfigError(
            source=path.name, faults=[Fault(key="file", rule=str(fault))]
        ) from fault
    settings = document.get("config") if isinstance(document, dict) else None
    if not isinstance(settings, dict):
        raise ConfigError(
            source=path.name, faults=[Fault(key="config", rule="must be a mapping")]
        )
    return {str(key): value for key, value in settings.items()}


def _read(stack: str, reader: SettingsReader) -> StackConfig:
    return StackConfig(
        stack=stack,
        project=reader.text(
            "gcp:project",
            pattern=rf"[a-z][a-z0-9-]{{4,28}}[a-z0-9]|{PLACEHOLDER_PROJECT}",
            rule=f"a project id (6-30 of a-z, 0-9, -) or {PLACEHOLDER_PROJECT}",
        ),
        region=reader.text(
            "gcp:region", pattern=r"[a-z]+-[a-z]+\d+", rule="a region like europe-west1"
        ),
        image_digest=reader.text(
            f"{_NAMESPACE}imageDigest",
            pattern=r"(sha256:[0-9a-f]{64})?",
            rule="sha256: and 64 hexadecimal digits, or empty",
        ),
        min_instances=reader.number(f"{_NAMESPACE}minInstances", low=1, high=1000),
        max_instances=reader.number(f"{_NAMESPACE}maxInstances", low=1, high=1000),
        cpu=int(reader.choice(f"{_NAMESPACE}cpu", "1", "2", "4", "6", "8") or 0),
        memory=reader.text(
            f"{_NAMESPACE}memory", pattern=r"[1-9]\d?Gi", rule="gibibytes like 4Gi"
        ),
        timeout_seconds=reader.number(f"{_NAMESPACE}timeoutSeconds", low=60, high=3600),
        deletion_protection=reader.flag(f"{_NAMESPACE}deletionProtection"),
        subnet_cidr=reader.network(f"{_NAMESPACE}subnetCidr", longest_prefix=26),
        services_cidr=reader.network(f"{_NAMESPACE}servicesCidr", longest_prefix=20),
        database_version=reader.choice(f"{_NAMESPACE}databaseVersion", "POSTGRES_18"),
        database_tier=reader.text(
            f"{_NAMESPACE}databaseTier",
            pattern=r"db-custom-[1-9]\d?-[1-9]\d{3,5}",
            rule="db-custom-CPUS-MEBIBYTES",
        ),
        database_availability=reader.choice(
            f"{_NAMESPACE}databaseAvailability", "ZONAL", "REGIONAL"
        ),
        cache=reader.flag(f"{_NAMESPACE}cache"),
        edge=reader.flag(f"{_NAMESPACE}edge"),
        alert_channel=reader.choice(f"{_NAMESPACE}alertChannel", "email", "paging"),
        slo_publish_availability_percent=_objective(reader, "sloPublishAvailability"),
        slo_confirmed_within_5s_percent=_objective(reader, "sloConfirmedWithin5s"),
        slo_window_days=reader.number(f"{_NAMESPACE}sloWindowDays", low=1, high=30),
    )


def _objective(reader: SettingsReader, name: str) -> Decimal:
    # Above 99.9 the monitoring API refuses the goal.
    return reader.percent(f"{_NAMESPACE}{name}", low=50, high="99.9")


def _check_together(config: StackConfig, reader: SettingsReader) -> None:
    """Check rules that two keys take part in, where each keeps its own."""
    fewest, most = f"{_NAMESPACE}minInstances", f"{_NAMESPACE}maxInstances"
    if reader.sound(fewest, most) and config.min_instances > config.max_instances:
        reader.refuse(fewest, "must not be above maxInstances")
    subnet, services = f"{_NAMESPACE}subnetCidr", f"{_NAMESPACE}servicesCidr"
    if reader.sound(subnet, services) and config.subnet_cidr.overlaps(
        config.services_cidr
    ):
        reader.refuse(services, "must not overlap subnetCidr")
    cpu, memory = f"{_NAMESPACE}cpu", f"{_NAMESPACE}memory"
    most_gibibytes = config.cpu * _GIBIBYTES_PER_CPU
    if (
        reader.sound(cpu, memory)
        and int(config.memory.removesuffix("Gi")) > most_gibibytes
    ):
        reader.refuse(
            memory, f"must be at most {most_gibibytes}Gi for {config.cpu} CPU"
        )
