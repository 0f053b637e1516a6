"""`--lease`: where leases lie."""

from pathlib import Path

import pytest

from ops.errors import UsageError
from ops.lease.address import open_store


def _open(address: str) -> None:
    with open_store(address, environment="prod"):
        pass


@pytest.mark.parametrize(
    ("address", "root"),
    [
        ("file:///var/state", "/var/state"),
        ("file:///var/state/", "/var/state"),
        ("file:///var/state/leases/prod.json", "/var/state"),
        ("file:///var/our%20state", "/var/our state"),
    ],
)
def test_a_folder_holds_the_lease_of_each_environment(address: str, root: str) -> None:
    """The folder, or the lease's own address, names the same lease."""
    with open_store(address, environment="prod") as store:
        found = store.locate("leases/prod.json")

    assert f"{Path(root).as_uri()}/leases/prod.json" == found


def test_the_home_directory_is_written_as_pulumi_writes_it() -> None:
    """`file://~` is a backend of Pulumi, so it is one of leases."""
    with open_store("file://~/state", environment="prod") as store:
        found = store.locate("x")

    assert (Path.home() / "state" / "x").as_uri() == found


@pytest.mark.parametrize(
    "address",
    [
        "state",
        "file://state",
        "file:state",
        "gs://",
        "gs://UPPER",
        "s3://state",
        "https://api.pulumi.com",
        "",
    ],
)
def test_what_is_no_address_is_told_with_the_rule(address: str) -> None:
    """The option and its rule are named, and what was found."""
    rule = r"^--lease: must be gs://BUCKET\[/FOLDER\] or file:///DIRECTORY"
    with pytest.raises(UsageError, match=rule) as told:
        _open(address)

    assert repr(address) in str(told.value)


def test_another_environments_lease_is_refused() -> None:
    """Nobody holds the lease of staging while working on prod."""
    with pytest.raises(UsageError, match=r"^--lease: the lease of --env prod is lea"):
        _open("gs://state/leases/staging.json")
