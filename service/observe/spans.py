"""Spans to an OpenTelemetry collector, by OTLP over HTTP.

A span is recorded whole, when what it tells of is over. It goes into a bounded queue
and leaves from a thread of its own: nothing here blocks, and what does not fit is
dropped by the library.
"""

import asyncio
import threading
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from service.contract import SERVICE_NAME
from service.observe.traceparent import Traceparent

_TRACES = "/v1/traces"
_QUEUE_SPANS = 8_192
_BATCH_SPANS = 512
_DELAY_MILLISECONDS = 1_000.0
_EXPORT_SECONDS = 5.0
_CLOSE_SECONDS = 3.0
_NANOSECONDS = 1_000_000_000


class OtlpSpans:
    """Records spans below a `traceparent`; one that is not sampled makes none.

    Args:
        endpoint: The collector's base URL, as OTEL_EXPORTER_OTLP_ENDPOINT has it.
        version: Of the service.
        revision, instance: Of this process.
    """

    def __init__(
        self, endpoint: str, *, version: str, revision: str, instance: str
    ) -> None:
        self._provider = TracerProvider(
            # Whoever began the trace has decided; nobody begins one here.
            sampler=ParentBased(root=ALWAYS_OFF),
            resource=Resource.create(
                {
                    "service.name": SERVICE_NAME,
                    "service.version": version,
                    "service.instance.id": instance,
                    "revision": revision,
                }
            ),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_span_attribute_length=256),
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(
                    endpoint=endpoint.rstrip("/") + _TRACES, timeout=_EXPORT_SECONDS
                ),
                max_queue_size=_QUEUE_SPANS,
                max_export_batch_size=_BATCH_SPANS,
                schedule_delay_millis=_DELAY_MILLISECONDS,
            )
        )
        self._tracer = self._provider.get_tracer(SERVICE_NAME, version)

    def record(
        self,
        name: str,
        parent: Traceparent,
        *,
        began: float,
        ended: float,
        attributes: Mapping[str, str | int],
    ) -> Traceparent:
        """Record a span (times since 1970); return its place, to put others below."""
        span = self._tracer.start_span(
            name,
            context=_context(parent),
            kind=trace.SpanKind.INTERNAL,
            attributes=attributes,
            start_time=int(began * _NANOSECONDS),
        )
        span.end(int(max(began, ended) * _NANOSECONDS))
        own = span.get_span_context()
        return Traceparent(parent.trace_id, f"{own.span_id:016x}", parent.sampled)

    async def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, _CLOSE_SECONDS)


def _context(parent: Traceparent) -> Context:
    flags = trace.TraceFlags.SAMPLED if parent.sampled else trace.TraceFlags.DEFAULT
    place = trace.SpanContext(
        trace_id=int(parent.trace_id, 16),
        span_id=int(parent.span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(flags),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(place))
