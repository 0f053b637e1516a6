"""The token bucket: so many a second, and a burst."""

from service.core.rate import TokenBucket


def bucket() -> TokenBucket:
    return TokenBucket(rate=10.0, burst=20.0, now=0.0)


def test_the_burst_is_there_at_once_and_no_more() -> None:
    """
    A new bucket gives its burst; one more is too many.
    """
    full = bucket()

    assert full.spend(20, 0.0) is True
    assert full.spend(1, 0.0) is False


def test_it_fills_at_its_rate() -> None:
    """
    After a second there are as many again as the rate says.
    """
    empty = bucket()
    empty.spend(20, 0.0)

    assert empty.spend(10, 1.0) is True
    assert empty.spend(1, 1.0) is False


def test_it_never_holds_more_than_the_burst() -> None:
    """
    A long rest is worth one burst.
    """
    rested = bucket()

    assert rested.spend(20, 1_000.0) is True
    assert rested.spend(1, 1_000.0) is False


def test_nothing_costs_nothing() -> None:
    """
    Spending none is always allowed while the bucket is not overdrawn.
    """
    empty = bucket()
    empty.spend(20, 0.0)

    assert empty.spend(0, 0.0) is True
