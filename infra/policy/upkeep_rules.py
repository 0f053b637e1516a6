"""Rules about keeping: protection in prod, labels, APIs that stay on."""

from collections.abc import Iterator

from infra.policy.rule import Rule, Shown
from infra.policy.run_rules import SERVICE
from infra.policy.store_rules import CACHE, DATABASE

LABELS = ("app", "environment", "managed-by")
_API = "gcp:projects/service:Service"
_DATABASE_LABELS = "settings.userLabels"
_LABELLED = {
    SERVICE: "labels",
    "gcp:cloudrunv2/job:Job": "labels",
    CACHE: "labels",
    DATABASE: _DATABASE_LABELS,
    "gcp:artifactregistry/repository:Repository": "labels",
    "gcp:secretmanager/secret:Secret": "labels",
    "gcp:monitoring/alertPolicy:AlertPolicy": "userLabels",
}
# Beside Pulumi's own `protect`: (flag, value that prod needs).
_LOCKS: dict[str, tuple[tuple[str, object], ...]] = {
    SERVICE: (("deletionProtection", True),),
    DATABASE: (
        ("deletionProtection", True),
        ("settings.deletionProtectionEnabled", True),
        ("settings.availabilityType", "REGIONAL"),
        ("settings.backupConfiguration.enabled", True),
        ("settings.backupConfiguration.pointInTimeRecoveryEnabled", True),
        ("settings.finalBackupConfig.enabled", True),
    ),
    CACHE: (("deletionProtectionEnabled", True),),
    "gcp:sql/database:Database": (),
    "gcp:compute/network:Network": (),
    "gcp:servicenetworking/connection:Connection": (("deletionPolicy", "PREVENT"),),
    "gcp:secretmanager/secret:Secret": (),
}


def _kept(shown: Shown) -> Iterator[str]:
    if not shown.prod:
        return
    if not shown.protect:
        yield "is not protected"
    for path, wanted in _LOCKS[shown.type]:
        if shown.at(path) != wanted:
            yield f"{path} is {shown.at(path)!r}, not {wanted!r}"


def _labelled(shown: Shown) -> Iterator[str]:
    path = _LABELLED[shown.type]
    for label in LABELS:
        if shown.at(f"{path}.{label}") is None:
            yield f"has no {label!r} in {path}"


def _stays_on(shown: Shown) -> Iterator[str]:
    if shown.at("disableOnDestroy") is not False:
        yield "disableOnDestroy must be false: others in the project may use the API"


RULES = (
    Rule(
        name="prod-protected",
        promise="What prod cannot lose has every lock that there is.",
        types=tuple(_LOCKS),
        faults=_kept,
    ),
    Rule(
        name="labelled",
        promise="Whoever sees a resource, or its bill, knows what it belongs to.",
        types=tuple(_LABELLED),
        faults=_labelled,
    ),
    Rule(
        name="apis-stay-on",
        promise="A stack that goes away switches no API off.",
        types=(_API,),
        faults=_stays_on,
    ),
)
