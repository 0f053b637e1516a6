"""The settings of one stack, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

# A stack's name is its environment; each has a project of its own.
STACKS = ("staging", "prod")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """Everything a stack decides; valid as a whole.

    `unfilled` are the keys that hold the placeholder: a person must decide them.
    """

    environment: str
    unfilled: tuple[str, ...]

    project: str
    region: str
    image_digest: str
    sidecar_digest: str

    min_instances: int
    max_instances: int
    cpu: int
    memory: str
    timeout_seconds: int
    max_connections: int
    workers: int
    database_pool_size: int
    deletion_protection: bool

    subnet_cidr: IPv4Network
    services_cidr: IPv4Network

    database_version: str
    database_tier: str
    database_availability: str
    database_disk_gb: int
    database_max_connections: int
    database_backups: int

    cache: bool
    cache_node_type: str
    cache_replicas: int

    edge: bool
    domain: str
    operator_ranges: tuple[IPv4Network, ...]

    allowed_origins: tuple[str, ...]
    auth_issuer: str
    auth_audience: str
    auth_jwks_url: str
    secret_versions: Mapping[str, int]
    operator_accounts: tuple[str, ...]

    alert_email: str
    paging_channel: str
    repository_id: str
    repository_owner_id: str
    billing_account: str
    monthly_budget: int

    @property
    def is_prod(self) -> bool:
        """Whether users depend on this stack."""
        return self.environment == "prod"

    @property
    def serves(self) -> bool:
        """Whether both images are known, so that the service can be built."""
        return bool(self.image_digest and self.sidecar_digest)

    @property
    def memory_mib(self) -> int:
        """Memory of one instance of the service."""
        return int(self.memory.removesuffix("Gi")) * 1024

    @property
    def database_cpus(self) -> int:
        """Processors of the database."""
        return int(self.database_tier.split("-")[2])

    @property
    def database_memory_mib(self) -> int:
        """Memory of the database."""
        return int(self.database_tier.split("-")[3])

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys that a person must still fill in before this stack is whole."""
        digests = {
            "event-service:imageDigest": self.image_digest,
            "event-service:sidecarDigest": self.sidecar_digest,
        }
        return self.unfilled + tuple(key for key, value in digests.items() if not value)
