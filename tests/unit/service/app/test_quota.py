"""Publishers' quotas: all of a batch or nothing, and exactly when again."""

import pytest

from service.app.quota import PublishQuota
from service.errors import QuotaExceededError


def new_quota(*, nodes: int = 1, max_publishers: int = 10) -> PublishQuota:
    return PublishQuota(
        rate=10.0, burst=20, nodes=lambda: nodes, max_publishers=max_publishers
    )


def wait(quota: PublishQuota, events: int, now: float, publisher: str = "p") -> int:
    """Return what Retry-After says; 0 when the batch passes."""
    try:
        quota.spend(publisher, events, now)
    except QuotaExceededError as error:
        return error.retry_after_seconds
    return 0


def test_a_batch_over_the_quota_is_not_counted() -> None:
    """
    A refused batch leaves room for a smaller one.
    """
    quota = new_quota()

    assert [0, 1, 0] == [wait(quota, n, 0.0) for n in (15, 6, 5)]


@pytest.mark.parametrize("start", [0.0, 1.1, 123_456.7, 1e9 + 0.3])
def test_the_wait_is_exact(start: float) -> None:
    """
    After so many seconds the batch passes; a second before it does not.
    """
    quota = new_quota()
    wait(quota, 20, start)

    assert 2 == wait(quota, 20, start)
    assert 1 == wait(quota, 20, start + 1.0)
    assert 0 == wait(quota, 20, start + 2.0)


def test_the_wait_is_a_whole_second_at_least() -> None:
    """
    Retry-After has no fractions.
    """
    quota = new_quota()
    wait(quota, 20, 0.0)

    assert 1 == wait(quota, 1, 0.0)


def test_a_batch_over_the_burst_passes_a_full_bucket_and_is_owed() -> None:
    """
    It could wait for ever otherwise; the rate holds all the same.
    """
    quota = new_quota()

    assert 0 == wait(quota, 50, 0.0)
    assert 4 == wait(quota, 1, 0.0)
    assert 5 == wait(quota, 50, 0.0)
    assert 0 == wait(quota, 50, 5.0)


def test_nodes_share_a_quota() -> None:
    """
    Four processes give each publisher a quarter.
    """
    quota = new_quota(nodes=4)

    assert [0, 2] == [wait(quota, n, 0.0) for n in (5, 5)]


def test_publishers_do_not_share() -> None:
    """
    What one spends is not taken from another.
    """
    quota = new_quota()
    wait(quota, 20, 0.0, "a")

    assert 0 == wait(quota, 20, 0.0, "b")


def test_memory_is_bounded() -> None:
    """
    The publisher that was quiet longest is forgotten, the busy one is not.
    """
    quota = new_quota(max_publishers=3)
    wait(quota, 20, 0.0, "busy")
    for name in ("a", "b", "c", "d"):
        wait(quota, 1, 0.0, name)
        wait(quota, 20, 0.0, "busy")

    assert 3 == len(quota)
    assert 2 == wait(quota, 20, 0.0, "busy")
