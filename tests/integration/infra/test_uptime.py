"""`infra.observability.uptime`: asked from outside, over HTTPS, often enough."""

from infra.observability.uptime import Uptime, UptimeArgs
from infra.render.graph import Resource
from service.contract import Path
from tests.integration.infra.component import PROJECT, rendered


def _check() -> Resource:
    def declare() -> None:
        args = UptimeArgs(
            project=PROJECT, host="events.example.com", labels={}, after=[]
        )
        Uptime("uptime", args)

    return rendered(declare).by_name("uptime-ready")


def test_three_places_ask_at_least() -> None:
    """One place's trouble is not the service's; Google takes three or none."""
    regions = _check().at("selectedRegions")

    assert isinstance(regions, list)
    assert 3 <= len(set(map(str, regions)))


def test_certificate_and_readiness_are_part_of_the_answer() -> None:
    """An expired certificate, a redirect or a database away: all are failures."""
    check = _check()

    assert check.at("httpCheck.useSsl") is True
    assert check.at("httpCheck.validateSsl") is True
    assert Path.HEALTH_READY == check.at("httpCheck.path")
    assert [200] == list(
        check.every("httpCheck.acceptedResponseStatusCodes[*].statusValue")
    )


def test_host_is_asked_by_name() -> None:
    """The monitored resource is the public host in this project."""
    check = _check()

    assert "uptime_url" == check.at("monitoredResource.type")
    assert {"project_id": PROJECT, "host": "events.example.com"} == check.at(
        "monitoredResource.labels"
    )


def test_answer_is_awaited_for_less_than_a_period() -> None:
    """A check ends before the next begins."""
    check = _check()
    timeout, period = (
        int(check.text(key).removesuffix("s")) for key in ("timeout", "period")
    )

    assert timeout < period
    assert period <= 60
