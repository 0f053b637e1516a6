"""Taking all or none from a token bucket."""

from service.core.rate import TokenBucket


def bucket() -> TokenBucket:
    return TokenBucket(rate=10.0, burst=20.0, now=0.0)


def test_all_or_none() -> None:
    """
    What is not there is not taken; the wait for it is told.
    """
    half = bucket()

    assert 0.0 == half.take(15, 0.0)
    assert 0.5 == half.take(10, 0.0)
    assert 0.0 == half.take(5, 0.0)


def test_shares_divide_rate_and_burst() -> None:
    """
    With two shares there is half of the burst, and it takes twice as long.
    """
    shared = bucket()

    assert 0.0 == shared.take(10, 0.0, shares=2)
    assert 1.0 == shared.take(5, 0.0, shares=2)
    assert 0.0 == shared.take(5, 1.0, shares=2)


def test_more_than_the_burst_is_owed() -> None:
    """
    A full bucket gives more than it holds, and pays it back first.
    """
    full = bucket()

    assert 0.0 == full.take(30, 0.0)
    assert 2.0 == full.take(10, 0.0)
    assert 0.0 == full.take(10, 2.0)
