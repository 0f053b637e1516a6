"""Metrics: names of the contract, counts in events, few labels."""

from pathlib import Path

import pytest
from prometheus_client import generate_latest

from service.contract import Metric
from service.observe.instruments import Instruments
from service.observe.joined import JoinedMetrics
from service.observe.metrics import Metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_every_metric_of_the_contract_is_there(tmp_path: Path) -> None:
    """
    What dashboards and alerts name is exposed under that name, by a service or by
    the supervisor of its workers.
    """
    registries = [Metrics().registry, JoinedMetrics(tmp_path).registry]
    families = {family.name for one in registries for family in one.collect()}

    assert {name.removesuffix("_total") for name in Metric} == families


def test_a_commit_counts_by_priority() -> None:
    """
    New events count under their priority, repeats apart; the group counts whole.
    """
    metrics = Metrics()

    metrics.committed(["high", "normal", "high"], repeats=2)

    assert 2.0 == value(metrics, "events_published_total", priority="high")
    assert 1.0 == value(metrics, "events_published_total", priority="normal")
    assert 2.0 == value(metrics, "publish_deduplicated_total")
    assert (1.0, 5.0) == (
        value(metrics, "commit_group_events_count"),
        value(metrics, "commit_group_events_sum"),
    )


def test_settlements_count_in_events() -> None:
    """
    A range counts as many events as it holds; only confirmations have a latency.
    """
    metrics = Metrics()

    metrics.settled("confirmed", 3, 0.25)
    metrics.settled("dead", 1, 9.0)
    metrics.settled("confirmed", 1, None)

    assert 4.0 == value(metrics, "events_settled_total", outcome="confirmed")
    assert 1.0 == value(metrics, "events_settled_total", outcome="dead")
    assert (3.0, 0.75) == (
        value(metrics, "confirmation_latency_seconds_count"),
        value(metrics, "confirmation_latency_seconds_sum"),
    )


def test_latency_by_type_has_few_labels() -> None:
    """
    Only the types that every agent has are told apart; publishers invent others. A
    settlement counts once, as its oldest event.
    """
    metrics = Metrics()
    metrics.settled("confirmed", 3, 0.25, "tool_completed")
    metrics.settled("confirmed", 1, 0.25, "invoice_printed")
    metrics.settled("dead", 1, 9.0, "tool_completed")

    name = "confirmation_latency_by_type_seconds_count"
    assert 1.0 == value(metrics, name, type="tool_completed")
    assert 1.0 == value(metrics, name, type="other")
    assert value(metrics, name, type="invoice_printed") is None


@pytest.mark.parametrize(
    ("observed", "expected"),
    [(0.5, [2, 2, 2]), (1.0, [2, 2, 2]), (1.5, [0, 2, 2]), (99.0, [0, 0, 2])],
)
def test_buckets_are_cumulative(observed: float, expected: list[int]) -> None:
    """
    A weighted observation counts in its bucket and all above; a bound belongs below.
    """
    histogram = Instruments().histogram("h", "text", [1, 2])
    histogram.observe_many(observed, 2)

    (family,) = histogram.collect()

    buckets = [s.value for s in family.samples if s.name == "h_bucket"]
    assert expected == buckets


def test_labels_are_counted_apart() -> None:
    """
    Codes, kinds and reasons are labels of their counters.
    """
    metrics = Metrics()
    metrics.rejected("invalid_request")
    metrics.failed_attempt("ack_timeout")
    metrics.session_opened("new")
    metrics.session_closed(4001)
    metrics.database_retry("deadlock")

    for name, labels in (
        ("publish_rejected_total", {"code": "invalid_request"}),
        ("failed_attempts_total", {"reason": "ack_timeout"}),
        ("sessions_opened_total", {"resume": "new"}),
        ("sessions_closed_total", {"code": "4001"}),
        ("database_retries_total", {"reason": "deadlock"}),
    ):
        assert 1.0 == value(metrics, name, **labels), name


def test_what_alerts_watch_is_shown_before_it_happens() -> None:
    """
    A counter that begins with its first failure has not risen, for Prometheus.
    """
    metrics = Metrics()

    for name, labels in (
        ("publish_requests_total", {"outcome": "failed"}),
        ("confirmed_connected_total", {"pace": "late"}),
        ("events_settled_total", {"outcome": "dead"}),
        ("webhook_deliveries_total", {"outcome": "given_up"}),
    ):
        assert 0.0 == value(metrics, name, **labels), name


def test_a_dead_letter_was_not_confirmed_in_time() -> None:
    """
    Attempts are spent on connected devices only, so every dead event counts there.
    """
    metrics = Metrics()

    metrics.settled("dead", 2, 9.0)
    metrics.settled("expired", 1, 9.0)

    assert 2.0 == value(metrics, "confirmed_connected_total", pace="dead")


def test_two_services_in_one_process_do_not_mix() -> None:
    """
    Each object counts for itself.
    """
    one, other = Metrics(), Metrics()
    one.committed(["high"], repeats=0)

    assert None is value(other, "events_published_total", priority="high")


def test_it_can_be_scraped() -> None:
    """
    The text that Prometheus reads holds the weighted histogram, too.
    """
    metrics = Metrics()
    metrics.settled("confirmed", 2, 0.25)

    text = generate_latest(metrics.registry).decode()

    assert 'confirmation_latency_seconds_bucket{le="0.5"} 2.0' in text
