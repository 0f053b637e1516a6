"""One holder at a time, by the store's own clock."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from ops.errors import HeldError, LostError, UnavailableError
from ops.lease.bucket_store import BucketStore
from ops.lease.holder import this_run
from ops.lease.lease import Lease
from tests.fakes.object_store import Bucket

pytestmark = pytest.mark.integration

_NAME = "leases/prod.json"
_TERM = timedelta(seconds=60)


@pytest.fixture
def store(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketStore]:
    """The real client, against the bucket on loopback."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.endpoint)
    with BucketStore("state") as opened:
        yield opened


def _lease(store: BucketStore, owner: str) -> Lease:
    holder = this_run(["pulumi", "up"], owner=owner, purpose="a release")
    return Lease(store, _NAME, holder=holder, term=_TERM)


def test_whoever_comes_second_learns_everything(store: BucketStore) -> None:
    """Who, since when, until when, and how to break it by hand."""
    _lease(store, "ana").take()

    with pytest.raises(HeldError) as told:
        _lease(store, "ben").take()
    said = str(told.value)
    for word in (
        "ana on ",
        "'a release'",
        " since 20",
        " until 20",
        "--wait SECONDS",
        "gcloud storage rm gs://state/leases/prod.json",
    ):
        assert word in said


def test_what_was_given_back_is_free(store: BucketStore, bucket: Bucket) -> None:
    """Nothing is left behind, and nobody is called dead."""
    first = _lease(store, "ana")
    first.take()
    first.release()

    assert {} == bucket.objects
    assert _lease(store, "ben").take() is None


def test_an_expired_lease_is_taken_over_and_told(
    store: BucketStore, bucket: Bucket
) -> None:
    """By the store's clock, not ours; whose it was is told."""
    _lease(store, "ana").take()
    bucket.ahead = _TERM - timedelta(seconds=5)
    with pytest.raises(HeldError):
        _lease(store, "ben").take()
    bucket.ahead = _TERM + timedelta(seconds=1)
    stale = _lease(store, "ben").take()

    assert stale is not None
    assert "ana" == stale.holder.owner


def test_renewing_moves_the_end(store: BucketStore, bucket: Bucket) -> None:
    """A term counts from the last renewal."""
    first = _lease(store, "ana")
    first.take()
    bucket.ahead = _TERM - timedelta(seconds=5)
    first.renew()
    bucket.ahead = _TERM + timedelta(seconds=5)

    with pytest.raises(HeldError):
        _lease(store, "ben").take()


def test_whoever_was_taken_over_learns_it_at_renewal(
    store: BucketStore, bucket: Bucket
) -> None:
    """It does not take the lease back, and its release takes nothing away."""
    first = _lease(store, "ana")
    first.take()
    bucket.ahead = _TERM + timedelta(seconds=1)
    _lease(store, "ben").take()

    with pytest.raises(LostError, match="was taken over by ben on "):
        first.renew()
    first.release()
    assert [_NAME] == list(bucket.objects)


def test_a_lease_broken_by_hand_is_lost(store: BucketStore, bucket: Bucket) -> None:
    """Removing the object ends whatever it covered."""
    first = _lease(store, "ana")
    first.take()
    bucket.objects.clear()

    with pytest.raises(LostError, match="was removed"):
        first.renew()


@pytest.mark.parametrize("step", ["take", "renew"])
def test_a_lost_answer_is_no_lost_lease(
    store: BucketStore, bucket: Bucket, step: str
) -> None:
    """The write arrived, its answer did not, the repeat is refused: it is ours."""
    lease = _lease(store, "ana")
    if step == "renew":
        lease.take()
        bucket.faults.append("lost")
    else:
        bucket.faults.extend(["", "lost"])
    getattr(lease, step)()
    lease.renew()
    lease.release()

    assert {} == bucket.objects


def test_an_object_that_is_no_lease_is_left_alone(
    store: BucketStore, bucket: Bucket
) -> None:
    """Nobody takes over what they cannot read."""
    bucket.put(_NAME, b"{}")

    with pytest.raises(HeldError, match="not a lease that this version can read"):
        _lease(store, "ben").take()


def test_a_store_that_is_away_says_nothing_about_the_lease(
    store: BucketStore, bucket: Bucket
) -> None:
    """No answer is no loss: it is asked again until the term has passed."""
    lease = _lease(store, "ana")
    lease.take()
    bucket.away = True

    with pytest.raises(UnavailableError):
        lease.renew()
    assert 0 < lease.safe_seconds < _TERM.total_seconds()
