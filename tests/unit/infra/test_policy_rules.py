"""`infra.policy`: each rule accepts what is right and names what is not."""

from copy import deepcopy
from pathlib import Path

import pytest

from infra.policy.access_rules import PROVIDER
from infra.policy.pack import RULES
from infra.policy.project_rules import refresh_faults
from infra.policy.rule import Json, Shown
from infra.policy.run_rules import JOB, SERVICE
from infra.policy.store_rules import CACHE, DATABASE, SECRET_VERSION

ROOT = Path(__file__).resolve().parents[3]
_IMAGE = "region-docker.pkg.dev/project/images/event-service@sha256:" + "a" * 64
_LABELS: dict[str, Json] = {
    "app": "event-service",
    "environment": "prod",
    "managed-by": "pulumi",
}
_PROBE: dict[str, Json] = {
    "httpGet": {"path": "/health/ready"},
    "timeoutSeconds": 4,
    "periodSeconds": 5,
}
_CONTAINER: dict[str, Json] = {
    "name": "app",
    "image": _IMAGE,
    "ports": {"containerPort": 8000},
    "resources": {"cpuIdle": False, "limits": {"cpu": "4", "memory": "4Gi"}},
    "startupProbe": _PROBE,
    "livenessProbe": _PROBE,
    "envs": [
        {"name": "PLAIN", "value": "1"},
        {"name": "AUTH_SECRET", "valueSource": {"secretKeyRef": {"version": "3"}}},
    ],
}
_TASK: dict[str, Json] = {
    "serviceAccount": "run@project.iam.gserviceaccount.com",
    "containers": [_CONTAINER],
    "volumes": [{"name": "config", "secret": {"items": [{"version": "2"}]}}],
    "vpcAccess": {
        "egress": "PRIVATE_RANGES_ONLY",
        "networkInterfaces": [{"network": "n", "subnetwork": "s"}],
    },
}
_PROJECT_MEMBER = "gcp:projects/iAMMember:IAMMember"
_ACCOUNT_MEMBER = "gcp:serviceaccount/iAMMember:IAMMember"
_CONNECTION = "gcp:servicenetworking/connection:Connection"
_GOOD: dict[str, dict[str, Json]] = {
    SERVICE: {
        "labels": _LABELS,
        "deletionProtection": True,
        "scaling": {"minInstanceCount": 1},
        "template": _TASK,
    },
    JOB: {"labels": _LABELS, "template": {"template": _TASK}},
    DATABASE: {
        "deletionProtection": True,
        "settings": {
            "userLabels": _LABELS,
            "deletionProtectionEnabled": True,
            "availabilityType": "REGIONAL",
            "backupConfiguration": {
                "enabled": True,
                "pointInTimeRecoveryEnabled": True,
            },
            "finalBackupConfig": {"enabled": True},
            "databaseFlags": [{"name": "log_statement", "value": "none"}],
            "ipConfiguration": {
                "ipv4Enabled": False,
                "privateNetwork": "n",
                "sslMode": "ENCRYPTED_ONLY",
            },
        },
    },
    CACHE: {
        "labels": _LABELS,
        "deletionProtectionEnabled": True,
        "transitEncryptionMode": "SERVER_AUTHENTICATION",
        "authorizationMode": "IAM_AUTH",
    },
    "gcp:sql/user:User": {"type": "CLOUD_IAM_SERVICE_ACCOUNT"},
    _CONNECTION: {"deletionPolicy": "PREVENT"},
    _PROJECT_MEMBER: {
        "role": "roles/cloudsql.client",
        "member": "serviceAccount:run@project.iam.gserviceaccount.com",
    },
    _ACCOUNT_MEMBER: {
        "role": "roles/iam.serviceAccountUser",
        "member": "serviceAccount:apply@project.iam.gserviceaccount.com",
    },
    PROVIDER: {
        "attributeCondition": (
            "assertion.repository_id == '1' && assertion.repository_owner_id == '2'"
        )
    },
    "gcp:projects/service:Service": {"disableOnDestroy": False},
    "gcp:secretmanager/secret:Secret": {"labels": _LABELS},
    "gcp:artifactregistry/repository:Repository": {"labels": _LABELS},
    "gcp:monitoring/alertPolicy:AlertPolicy": {"userLabels": _LABELS},
}
_GONE = object()
_CONTAINERS = "template.containers.0"
_ADDRESSES = "settings.ipConfiguration"
# (rule, type, path, the value that is wrong)
_BROKEN: list[tuple[str, str, str, object]] = [
    ("run-traffic-undeclared", SERVICE, "traffics", [{"percent": 100}]),
    ("run-traffic-undeclared", SERVICE, "traffics", []),
    ("run-image-by-digest", SERVICE, f"{_CONTAINERS}.image", "image:latest"),
    ("run-image-by-digest", SERVICE, f"{_CONTAINERS}.image", "image:1.2.3"),
    ("run-image-by-digest", JOB, f"template.{_CONTAINERS}.image", "image"),
    (
        "run-secret-by-version",
        SERVICE,
        f"{_CONTAINERS}.envs.1.valueSource.secretKeyRef.version",
        "latest",
    ),
    (
        "run-secret-by-version",
        SERVICE,
        "template.volumes.0.secret.items.0.version",
        _GONE,
    ),
    ("run-vpc-access", SERVICE, "template.vpcAccess", _GONE),
    ("run-vpc-access", SERVICE, "template.vpcAccess.connector", "c"),
    ("run-vpc-access", SERVICE, "template.vpcAccess.egress", "ALL_TRAFFIC"),
    ("run-vpc-access", JOB, "template.template.vpcAccess.networkInterfaces", []),
    ("run-cpu-always-allocated", SERVICE, f"{_CONTAINERS}.resources.cpuIdle", True),
    ("run-cpu-always-allocated", SERVICE, f"{_CONTAINERS}.resources.cpuIdle", _GONE),
    ("run-cpu-always-allocated", SERVICE, "scaling.minInstanceCount", 0),
    ("run-limits", SERVICE, f"{_CONTAINERS}.resources.limits.memory", _GONE),
    ("run-no-session-affinity", SERVICE, "template.sessionAffinity", True),
    ("run-probes", SERVICE, f"{_CONTAINERS}.startupProbe", _GONE),
    ("run-probes", SERVICE, f"{_CONTAINERS}.livenessProbe.timeoutSeconds", 5),
    ("run-own-account", SERVICE, "template.serviceAccount", _GONE),
    (
        "run-own-account",
        JOB,
        "template.template.serviceAccount",
        "1-compute@developer.gserviceaccount.com",
    ),
    ("database-private", DATABASE, f"{_ADDRESSES}.ipv4Enabled", True),
    ("database-private", DATABASE, f"{_ADDRESSES}.ipv4Enabled", _GONE),
    ("database-private", DATABASE, f"{_ADDRESSES}.privateNetwork", _GONE),
    (
        "database-private",
        DATABASE,
        f"{_ADDRESSES}.authorizedNetworks",
        [{"value": "0.0.0.0/0"}],
    ),
    (
        "database-encrypted",
        DATABASE,
        f"{_ADDRESSES}.sslMode",
        "ALLOW_UNENCRYPTED_AND_ENCRYPTED",
    ),
    ("database-users-by-iam", "gcp:sql/user:User", "type", "BUILT_IN"),
    ("database-users-by-iam", "gcp:sql/user:User", "password", "x"),
    (
        "database-logs-no-statements",
        DATABASE,
        "settings.databaseFlags.0.value",
        "all",
    ),
    ("cache-closed", CACHE, "transitEncryptionMode", "TRANSIT_ENCRYPTION_DISABLED"),
    ("cache-closed", CACHE, "authorizationMode", _GONE),
    ("access-least-privilege", _PROJECT_MEMBER, "role", "roles/editor"),
    ("access-least-privilege", _PROJECT_MEMBER, "role", "roles/iam.serviceAccountUser"),
    ("access-least-privilege", _ACCOUNT_MEMBER, "role", "roles/owner"),
    ("access-least-privilege", _PROJECT_MEMBER, "member", "allUsers"),
    (
        "access-least-privilege",
        _PROJECT_MEMBER,
        "member",
        "serviceAccount:1-compute@developer.gserviceaccount.com",
    ),
    ("access-federation-bound", PROVIDER, "attributeCondition", _GONE),
    (
        "access-federation-bound",
        PROVIDER,
        "attributeCondition",
        "assertion.repository == 'a/b'",
    ),
    ("prod-protected", DATABASE, "deletionProtection", False),
    ("prod-protected", DATABASE, "settings.deletionProtectionEnabled", False),
    ("prod-protected", DATABASE, "settings.availabilityType", "ZONAL"),
    ("prod-protected", DATABASE, "settings.finalBackupConfig", _GONE),
    ("prod-protected", SERVICE, "deletionProtection", False),
    ("prod-protected", _CONNECTION, "deletionPolicy", "ABANDON"),
    ("labelled", SERVICE, "labels.environment", _GONE),
    ("labelled", DATABASE, "settings.userLabels", _GONE),
    ("apis-stay-on", "gcp:projects/service:Service", "disableOnDestroy", _GONE),
]
# Resources whose mere existence breaks a rule.
_UNWANTED = [
    ("run-second-api", "gcp:cloudrun/service:Service"),
    ("secret-values-outside", SECRET_VERSION),
    ("access-no-keys", "gcp:serviceaccount/key:Key"),
    ("access-adds-only", "gcp:projects/iAMPolicy:IAMPolicy"),
    ("access-adds-only", "gcp:projects/iAMBinding:IAMBinding"),
    ("access-adds-only", "gcp:storage/bucketIAMBinding:BucketIAMBinding"),
]


def _shown(
    type: str,
    props: dict[str, Json] | None = None,
    *,
    stack: str = "prod",
    protect: bool = True,
) -> Shown:
    urn = f"urn:pulumi:{stack}::event-service::{type}::one"
    return Shown(
        type=type,
        urn=urn,
        name="one",
        props=_GOOD.get(type, {}) if props is None else props,
        protect=protect,
    )


def _broken_by(shown: Shown) -> set[str]:
    return {
        rule.name
        for rule in RULES
        if rule.applies(shown.type) and list(rule.faults(shown))
    }


def _with(type: str, path: str, value: object) -> dict[str, Json]:
    """Return the good resource with one value changed or taken away."""
    props = deepcopy(_GOOD[type])
    *parents, last = path.split(".")
    place: object = props
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]  # type: ignore[index]
    assert isinstance(place, dict)
    place.pop(last, None)
    if value is not _GONE:
        place[last] = value
    return props


@pytest.mark.parametrize("type", sorted(_GOOD))
def test_what_is_right_is_accepted(type: str) -> None:
    """No rule has anything against a resource as it should be."""
    assert set() == _broken_by(_shown(type))


@pytest.mark.parametrize(
    ("rule", "type", "path", "value"),
    _BROKEN,
    ids=[f"{rule}-{n}" for n, (rule, *_) in enumerate(_BROKEN)],
)
def test_each_fault_breaks_its_rule(
    rule: str, type: str, path: str, value: object
) -> None:
    """One wrong value breaks the rule that is there for it, and no other."""
    assert {rule} == _broken_by(_shown(type, _with(type, path, value)))


@pytest.mark.parametrize(("rule", "type"), _UNWANTED)
def test_some_resources_must_not_exist(rule: str, type: str) -> None:
    """A resource that is wrong whatever it says breaks its rule."""
    assert {rule} == _broken_by(_shown(type, {}))


def test_prod_needs_pulumis_own_lock() -> None:
    """In prod what is worth keeping is protected by Pulumi too."""
    assert {"prod-protected"} == _broken_by(_shown(DATABASE, protect=False))


def test_staging_can_be_thrown_away() -> None:
    """Staging needs none of prod's locks."""
    loose = _with(DATABASE, "settings.availabilityType", "ZONAL")

    assert set() == _broken_by(_shown(DATABASE, loose, stack="staging", protect=False))


def test_no_rule_is_without_a_fault_that_breaks_it() -> None:
    """Each rule has been seen to fail here."""
    seen = {rule for rule, *_ in _BROKEN} | {rule for rule, _ in _UNWANTED}

    assert {rule.name for rule in RULES} == seen


def test_the_project_refreshes_before_every_update() -> None:
    """The project file of this repository keeps the rule."""
    assert [] == list(refresh_faults(ROOT / "Pulumi.yaml"))


@pytest.mark.parametrize("options", ["", "options:\n", "options:\n  refresh: never\n"])
def test_a_project_that_does_not_refresh_is_refused(
    tmp_path: Path, options: str
) -> None:
    """Whoever takes the refresh away is told what is wanted."""
    project = tmp_path / "Pulumi.yaml"
    project.write_text(f"name: event-service\n{options}")

    (fault,) = refresh_faults(project)

    assert "options.refresh" in fault
    assert "'always'" in fault
