"""What the process writes: one JSON object a line, and no credential in any of them."""

import pytest

from service.contract import CloseCode, Env, LogEvent
from service.contract import Path as HttpPath
from service.core.draft import Draft
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import raw_client
from tests.fixtures.service import ServiceProcess, StartService

pytestmark = pytest.mark.integration

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PLACE = f"00-{TRACE}-00f067aa0ba902b7-01"


async def test_a_day_of_use_leaves_no_credential(start_service: StartService) -> None:
    """
    Tokens, tickets and codes are used in every way, rightly and wrongly; none is in
    the log, every line is JSON with severity, time, message, revision and instance.
    """
    service = await start_service(**{Env.LOG_LEVEL: "debug", Env.REVISION: "green"})
    token = service.token("ann", "publish")
    code = await service.code("ann")
    secrets = {token, code, service.database_url.split("@")[0]}
    async with service.api("ann", "publish") as api:
        ticket = (await api.post(HttpPath.TICKETS)).json()["ticket"]
        secrets.add(ticket)
        await api.post(HttpPath.EVENTS, json={"type": "progress", "token": token})
        await api.get(f"/nowhere?token={token}&ticket={ticket}")
        await api.post(HttpPath.CODES, json={"code": code})
        await api.post(HttpPath.CODES, json={"code": code})
    async with raw_client(service.ws_url) as client:
        await client.hello(ticket=ticket)
        await client.send({"t": "auth", "ticket": ticket})
        await client.closed()
    async with raw_client(service.ws_url) as client:
        await client.send({"t": "hello", "v": 1, "device": "d", "ticket": ticket})
        assert CloseCode.UNAUTHORIZED == await client.closed()
    await service.terminate()
    text = service.log.read_text()
    lines = service.log_lines()
    wanted = {"severity", "time", "message", "logging.googleapis.com/labels"}

    assert [] == [one for one in secrets if one in text]
    assert [] == [line for line in lines if not wanted <= set(line)]
    assert LogEvent.SESSION_CLOSED in [line.get("event") for line in lines]
    assert {"green"} == {
        line["logging.googleapis.com/labels"]["revision"]  # type: ignore[index]  # checked above
        for line in lines
    }


def _redelivered(service: ServiceProcess) -> list[dict[str, object]]:
    lines = service.log_lines()
    return [one for one in lines if one.get("event") == LogEvent.EVENT_REDELIVERED]


async def test_a_line_about_an_event_is_in_its_trace(
    start_service: StartService,
) -> None:
    """
    A redelivery is found from the publisher's trace, in the project's own form.
    """
    service = await start_service(**{Env.GOOGLE_CLOUD_PROJECT: "acme"})
    await service.publish(Draft(user_id="ann", type="progress", trace=PLACE))
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        await client.hello()
        await client.events(1)
        await client.send({"t": "nack", "seq": 1, "reason": "not yet"})
        await client.events(1)

        async def written() -> bool:  # after the event was sent
            return bool(_redelivered(service))

        await eventually(written)
    (line,) = _redelivered(service)

    assert f"projects/acme/traces/{TRACE}" == line["logging.googleapis.com/trace"]
    assert "00f067aa0ba902b7" == line["logging.googleapis.com/spanId"]
