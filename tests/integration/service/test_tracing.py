"""Traces: one from the publisher to the user's ack, at a real collector."""

import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from service.contract import Env, LogEvent
from service.contract import Path as HttpPath
from service.core.draft import Draft
from tests.fakes.collector import Collector, attributes, collector
from tests.fakes.deadline import eventually
from tests.fakes.raw_client import raw_client
from tests.fixtures.service import HOST, ServiceProcess, StartService, free_port

pytestmark = pytest.mark.integration

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{SPAN}-01"


async def _publish(service: ServiceProcess, body: object, **headers: str) -> None:
    async with service.api("robot", "publish") as api:
        answer = await api.post(HttpPath.EVENTS, json=body, headers=headers)
    assert 201 == answer.status_code, answer.text


async def _ack_one(service: ServiceProcess) -> dict[str, object]:
    """Be the user: take one event and ack it; return it."""
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        await client.hello()
        (event,) = await client.events(1)
        await client.send({"t": "ack", "upto": event["seq"]})
        await client.send({"t": "ping", "at": 1})
        await client.next("pong")
    return event


async def _until_spans(found: Collector, trace_id: str, count: int) -> None:
    async def there() -> bool:
        return len(found.spans(trace_id)) >= count

    await eventually(there)


async def test_one_trace_from_publish_to_ack(start_service: StartService) -> None:
    """
    An event published inside a trace has a span for its publication and its dispatch
    below the publisher's, and one for the ack below the dispatch. None names the user.
    """
    with collector() as found:
        service = await start_service(
            **{Env.OTEL_EXPORTER_OTLP_ENDPOINT: found.url, Env.REVISION: "green"}
        )
        body = {"user_id": "ann", "type": "progress", "event_id": "e1"}
        await _publish(service, body, traceparent=SAMPLED)
        event = await _ack_one(service)
        await _until_spans(found, TRACE, 3)
    spans = {span.name: span for span in found.spans(TRACE)}
    facts = {name: attributes(span) for name, span in spans.items()}
    known = {
        "event.id": "e1",
        "event.type": "progress",
        "event.seq": 1,
        "revision": "green",
    }

    assert SAMPLED == event["trace"]
    assert {"publish", "dispatch", "ack"} == set(spans)
    assert SPAN == spans["publish"].parent_span_id.hex()
    assert SPAN == spans["dispatch"].parent_span_id.hex()
    assert spans["dispatch"].span_id == spans["ack"].parent_span_id
    assert {
        "publish": known,
        "dispatch": {**known, "event.attempt": 1},
        "ack": {**known, "event.attempt": 1},
    } == facts
    assert {"/v1/traces"} == found.paths
    assert {"event-service"} == {one["service.name"] for one in found.resources}
    assert "ann" not in str(found.spans(TRACE))


async def test_each_attempt_has_a_dispatch(start_service: StartService) -> None:
    """
    A redelivery is a second dispatch, and the ack hangs below that one.
    """
    with collector() as found:
        service = await start_service(**{Env.OTEL_EXPORTER_OTLP_ENDPOINT: found.url})
        await _publish(
            service, {"user_id": "ann", "type": "progress", "trace": SAMPLED}
        )
        async with raw_client(service.ws_url, token=service.token("ann")) as client:
            await client.hello()
            await client.events(1)
            await client.send({"t": "nack", "seq": 1, "reason": "not yet"})
            await client.events(1)
            await client.send({"t": "ack", "upto": 1})
            await _until_spans(found, TRACE, 4)
    spans = found.spans(TRACE)
    by_attempt = {
        attributes(s)["event.attempt"]: s for s in spans if s.name == "dispatch"
    }
    (ack,) = [span for span in spans if span.name == "ack"]

    assert {1, 2} == set(by_attempt)
    assert by_attempt[2].span_id == ack.parent_span_id


async def test_what_is_not_sampled_has_no_spans(start_service: StartService) -> None:
    """
    The publisher's decision holds; so does a trace that cannot be read. The event
    is delivered all the same, with its trace as it was given.
    """
    unsampled, other = f"00-{TRACE}-{SPAN}-00", "5" * 32
    with collector() as found:
        service = await start_service(**{Env.OTEL_EXPORTER_OTLP_ENDPOINT: found.url})
        draft = {"user_id": "ann", "type": "progress"}
        await _publish(service, {**draft, "trace": unsampled})
        await _publish(service, {**draft, "trace": "garbled"})
        await _publish(service, {**draft, "trace": f"00-{other}-{SPAN}-01"})
        async with raw_client(service.ws_url, token=service.token("ann")) as client:
            await client.hello()
            events = await client.events(3)
            await client.send({"t": "ack", "upto": 3})
            await _until_spans(found, other, 3)

    assert [unsampled, "garbled"] == [event["trace"] for event in events[:2]]
    assert [] == found.spans(TRACE)


async def test_an_event_keeps_its_own_trace(service: ServiceProcess) -> None:
    """
    The request's trace is for events that name none; Cloud Run's older header will do.
    """
    own = f"00-{'7' * 32}-{SPAN}-01"
    cloud = {"X-Cloud-Trace-Context": f"{TRACE}/{int(SPAN, 16)};o=1"}
    body = {"user_id": "ann", "type": "progress"}
    await _publish(service, {**body, "trace": own}, traceparent=SAMPLED)
    await _publish(service, body, **cloud)
    await _publish(service, body)
    await _publish(service, body, traceparent="garbled")
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        await client.hello()
        events = await client.events(4)

    assert [own, SAMPLED, None, None] == [event.get("trace") for event in events]


async def test_the_publisher_passes_its_own_span_on(service: ServiceProcess) -> None:
    """
    A program that uses OpenTelemetry has its current span in what it publishes.
    """
    tracer = TracerProvider(sampler=ALWAYS_ON).get_tracer("test")
    with tracer.start_as_current_span("work") as span:
        await service.publish(Draft(user_id="ann", type="progress"))
        place = span.get_span_context()
    event = await _ack_one(service)

    assert f"00-{place.trace_id:032x}-{place.span_id:016x}-01" == event["trace"]


async def test_a_collector_that_is_away_holds_nobody_up(
    start_service: StartService,
) -> None:
    """
    Without a collector events flow as ever, and the end waits a few seconds at most.
    """
    nowhere = f"http://{HOST}:{free_port()}"
    service = await start_service(**{Env.OTEL_EXPORTER_OTLP_ENDPOINT: nowhere})
    body = {"user_id": "ann", "type": "progress", "trace": SAMPLED}
    await _publish(service, body)
    event = await _ack_one(service)
    began = time.monotonic()
    code = await service.terminate()
    logged = [line.get("event") for line in service.log_lines()]

    assert 1 == event["seq"]
    assert 0 == code
    assert time.monotonic() - began < 10
    assert LogEvent.SERVICE_STOPPED in logged
