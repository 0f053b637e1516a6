"""Both stores of leases keep the same promises."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ops.errors import AccessError, UnavailableError, UsageError
from ops.lease.bucket_store import BucketStore
from ops.lease.folder_store import FolderStore
from ops.lease.objects import ABSENT, ChangedError, ObjectStore
from tests.fakes.object_store import Bucket

pytestmark = pytest.mark.integration

_NAME = "leases/prod.json"


@pytest.fixture
def bucket_store(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BucketStore]:
    """The real client, against the bucket on loopback."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.endpoint)
    with BucketStore("state") as store:
        yield store


@pytest.fixture(params=["bucket", "folder"])
def store(
    request: pytest.FixtureRequest, bucket_store: BucketStore, tmp_path: Path
) -> ObjectStore:
    """Each of them."""
    return bucket_store if request.param == "bucket" else FolderStore(tmp_path)


def test_what_was_written_is_read(store: ObjectStore) -> None:
    """Content, generation and time come back; nothing is there before."""
    nothing = store.read(_NAME)
    generation = store.write(_NAME, b"one", generation=ABSENT)
    read = store.read(_NAME)

    assert nothing.stored is None
    assert read.stored is not None
    assert (b"one", generation) == (read.stored.data, read.stored.generation)
    assert abs(read.at - read.stored.updated_at) < timedelta(seconds=2)


def test_only_one_creates(store: ObjectStore) -> None:
    """Whoever comes second is told, and changes nothing."""
    store.write(_NAME, b"one", generation=ABSENT)

    with pytest.raises(ChangedError):
        store.write(_NAME, b"two", generation=ABSENT)
    stored = store.read(_NAME).stored
    assert stored is not None
    assert b"one" == stored.data


def test_a_generation_is_replaced_once(store: ObjectStore) -> None:
    """Every write makes a new generation; the old one is no key any more."""
    first = store.write(_NAME, b"one", generation=ABSENT)
    second = store.write(_NAME, b"two", generation=first)

    assert second != first
    with pytest.raises(ChangedError):
        store.write(_NAME, b"three", generation=first)
    with pytest.raises(ChangedError):
        store.delete(_NAME, generation=first)


def test_what_was_deleted_is_gone(store: ObjectStore) -> None:
    """It may be created again, and deleted only once."""
    generation = store.write(_NAME, b"one", generation=ABSENT)
    store.delete(_NAME, generation=generation)

    assert store.read(_NAME).stored is None
    with pytest.raises(ChangedError):
        store.delete(_NAME, generation=generation)
    with pytest.raises(ChangedError):
        store.write(_NAME, b"two", generation=generation)
    assert store.write(_NAME, b"two", generation=ABSENT)


def test_the_stores_own_clock_is_told(
    bucket_store: BucketStore, bucket: Bucket
) -> None:
    """A store whose clock is an hour ahead tells its own time in both places."""
    bucket.ahead = timedelta(hours=1)
    before = bucket.now()
    bucket_store.write(_NAME, b"one", generation=ABSENT)
    read = bucket_store.read(_NAME)

    assert read.stored is not None
    assert read.stored.updated_at >= before - timedelta(seconds=1)
    assert read.at >= before - timedelta(seconds=1)


def test_a_store_that_is_away_is_told_within_seconds(
    bucket_store: BucketStore, bucket: Bucket
) -> None:
    """Asked again for a while, then told as no answer."""
    bucket.away = True

    with pytest.raises(UnavailableError, match="gs://state"):
        bucket_store.read(_NAME)


def test_a_short_outage_is_not_noticed(
    bucket_store: BucketStore, bucket: Bucket
) -> None:
    """A 503 and a 429 are asked again."""
    bucket.faults.extend([503, 429])

    assert bucket_store.write(_NAME, b"one", generation=ABSENT)


@pytest.mark.parametrize(
    ("status", "told"), [(401, "not logged in"), (403, "not permitted")]
)
def test_missing_permission_is_one_sentence(
    bucket_store: BucketStore, bucket: Bucket, status: int, told: str
) -> None:
    """Who may not is told so, with the bucket's name."""
    bucket.faults.append(status)

    with pytest.raises(AccessError, match=rf"gs://state: {told}"):
        bucket_store.write(_NAME, b"one", generation=ABSENT)


def test_a_bucket_that_is_not_there_is_told(
    bucket_store: BucketStore, bucket: Bucket
) -> None:
    """A typing error in the bucket's name is one of the argument."""
    bucket.faults.append(404)

    with pytest.raises(UsageError, match=r"--lease: gs://state: there is no such"):
        bucket_store.write(_NAME, b"one", generation=ABSENT)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file where the folder should be is no answer."""
    (tmp_path / "file").touch()

    with pytest.raises(UnavailableError, match="--lease:"):
        FolderStore(tmp_path / "file").read(_NAME)


def test_people_are_told_where_it_is_and_how_to_remove_it(
    store: ObjectStore,
) -> None:
    """The address is one that the tool in the command takes."""
    address = store.locate(_NAME)

    assert address.endswith(_NAME)
    assert store.removal(_NAME).endswith(address.removeprefix("file://"))
