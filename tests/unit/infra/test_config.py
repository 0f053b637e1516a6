"""`infra.config`: a stack's settings are valid as a whole, or every fault is named."""

from pathlib import Path

import pytest

from infra.config import ROOT, STACKS, load_stack
from infra.errors import ConfigError

_DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a copy of the real stack files."""
    for stack in STACKS:
        name = f"Pulumi.{stack}.yaml"
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def _set(root: Path, key: str, value: str | None) -> None:
    path = root / "Pulumi.staging.yaml"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(f"  {key}:")]
    added = [] if value is None else [f"  {key}: {value}"]
    path.write_text("\n".join(kept + added) + "\n")


def _faults(root: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_stack("staging", root=root)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("stack", STACKS)
def test_real_stacks_are_valid(stack: str) -> None:
    """The stack files of this repository keep every rule."""
    config = load_stack(stack)

    assert (stack, 1, 10, 600) == (
        config.stack,
        config.min_instances,
        config.max_instances,
        config.timeout_seconds,
    )


def test_only_prod_is_protected() -> None:
    """Prod refuses deletion and lives in two zones; staging can be thrown away."""
    staging, prod = (load_stack(stack) for stack in STACKS)

    assert (False, "ZONAL") == (
        staging.deletion_protection,
        staging.database_availability,
    )
    assert (True, "REGIONAL") == (prod.deletion_protection, prod.database_availability)


def test_says_what_is_still_missing(root: Path) -> None:
    """The placeholder project and the empty digest are valid, but reported."""
    before = load_stack("staging", root=root).missing
    _set(root, "gcp:project", "acme-events-staging")
    _set(root, "event-service:imageDigest", _DIGEST)
    after = load_stack("staging", root=root).missing

    assert ("gcp:project", "event-service:imageDigest") == before
    assert () == after


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gcp:project", "Acme"),
        ("gcp:project", "your_project"),
        ("gcp:region", "Belgium"),
        ("event-service:imageDigest", "latest"),
        ("event-service:imageDigest", "sha256:abc"),
        ("event-service:minInstances", "0"),
        ("event-service:minInstances", "11"),
        ("event-service:minInstances", "true"),
        ("event-service:maxInstances", "1.5"),
        ("event-service:cpu", "3"),
        ("event-service:cpu", "four"),
        ("event-service:memory", "4GB"),
        ("event-service:memory", "17Gi"),
        ("event-service:memory", "[4Gi]"),
        ("event-service:timeoutSeconds", "3601"),
        ("event-service:deletionProtection", "perhaps"),
        ("event-service:subnetCidr", "10.20.0.0/27"),
        ("event-service:subnetCidr", "10.20.0.1/26"),
        ("event-service:subnetCidr", "8.8.8.0/24"),
        ("event-service:servicesCidr", "10.20.0.0/16"),
        ("event-service:servicesCidr", "everywhere"),
        ("event-service:databaseVersion", "POSTGRES_9"),
        ("event-service:databaseTier", "db-f1-micro"),
        ("event-service:databaseAvailability", "GLOBAL"),
        ("event-service:alertChannel", "pigeon"),
        ("event-service:sloPublishAvailability", "100"),
        ("event-service:sloPublishAvailability", "NaN"),
        ("event-service:sloConfirmedWithin5s", "most"),
        ("event-service:sloWindowDays", "31"),
        ("event-service:minInstnaces", "2"),
    ],
)
def test_bad_value_is_one_fault_naming_its_key(
    root: Path, key: str, value: str
) -> None:
    """A value that breaks a rule is refused once, and by name."""
    _set(root, key, value)

    faults = _faults(root)

    assert [key] == [fault.split(": ")[0] for fault in faults]


def test_every_missing_key_is_named(root: Path) -> None:
    """An empty file yields one fault for each setting, not only the first."""
    settings = (root / "Pulumi.staging.yaml").read_text().count("\n  ")
    (root / "Pulumi.staging.yaml").write_text("config: {}\n")

    faults = _faults(root)

    assert settings == len(faults)
    assert all(fault.endswith(": is missing") for fault in faults)


def test_faults_are_reported_together(root: Path) -> None:
    """Two wrong values are two faults of one report."""
    _set(root, "event-service:cpu", "3")
    _set(root, "event-service:subnetCidr", None)

    assert [
        "event-service:cpu: must be 1 or 2 or 4 or 6 or 8, got '3'",
        "event-service:subnetCidr: is missing",
    ] == _faults(root)


@pytest.mark.parametrize("text", ["", "config: 5", "- a", "config: [", "\x00"])
def test_what_is_no_stack_file_is_refused(root: Path, text: str) -> None:
    """A file of another shape is a fault of the file, not a crash."""
    (root / "Pulumi.staging.yaml").write_text(text)

    assert 1 == len(_faults(root))


def test_absent_file_is_named(tmp_path: Path) -> None:
    """A stack without a file is a fault that names the file."""
    with pytest.raises(ConfigError, match=r"Pulumi\.staging\.yaml"):
        load_stack("staging", root=tmp_path)
