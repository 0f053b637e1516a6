"""Which trace the caller is in, if the program uses OpenTelemetry."""

from opentelemetry import trace

from service.observe.traceparent import Traceparent


def current_traceparent() -> str | None:
    """Return the caller's place as a `traceparent`; None outside any span."""
    place = trace.get_current_span().get_span_context()
    if not place.is_valid:
        return None
    sampled = bool(place.trace_flags & trace.TraceFlags.SAMPLED)
    span = Traceparent(f"{place.trace_id:032x}", f"{place.span_id:016x}", sampled)
    return str(span)
