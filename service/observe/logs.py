"""Structured logs: one JSON object a line as Cloud Logging reads them, or text.

`event` is a constant name of the contract, `message` the same for people; a library's
record has only a message, and its `logger`. Whatever belongs to a trace names it.
"""

import logging
import re
import sys
from collections.abc import Mapping, Sequence

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from service.contract import SERVICE_NAME, LogField
from service.observe.redaction import REDACTED, is_secret_name, redact_text
from service.observe.traceparent import Traceparent, current

_QUIET = ("picows", "service.socket", "uvicorn.access", "asyncio", "httpx")
# Cloud Logging reads these names.
_SEVERITY = {"warn": "WARNING", "exception": "ERROR"}
_TRACE = "logging.googleapis.com/trace"
_SPAN = "logging.googleapis.com/spanId"
_SAMPLED = "logging.googleapis.com/trace_sampled"
_LABELS = "logging.googleapis.com/labels"
_SERIOUS = frozenset({"ERROR", "CRITICAL"})
# In a URL or a form; a close code or an error code is not one of these.
_SECRET_PAIR = re.compile(
    r"(?P<name>(?:\b(?:ticket|token|secret|password)|[?&#]code)=)[^\s&\"'<>]+",
    re.IGNORECASE,
)
_MAX_DEPTH = 8


def configure(
    *,
    form: str,
    level: str,
    project: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Set up logging for the process; the standard library's goes the same way.

    Args:
        form: `json` or `console`.
        level: The least severity that is written.
        project: The Google Cloud project that traces belong to.
        labels: What every line says of the process: its revision, its instance.
    """
    first: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    )
    last: Sequence[Processor] = (
        (
            structlog.processors.format_exc_info,  # as text, without local variables
            _redacted,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
            ),
        )
        if form == "console"
        else (
            structlog.processors.format_exc_info,
            _ForCloud(project=project, labels=labels or {}),
            _redacted,
            structlog.processors.JSONRenderer(default=repr),
        )
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*first, _of_a_library],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *last,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


class _ForCloud:
    """Gives a line the field names that Cloud Logging and Error Reporting know."""

    def __init__(self, *, project: str | None, labels: Mapping[str, str]) -> None:
        self._prefix = f"projects/{project}/traces/" if project else ""
        self._labels = dict(labels)
        self._context = {
            "service": SERVICE_NAME,
            "version": labels.get("revision", "local"),
        }

    def __call__(
        self, _logger: WrappedLogger, _method: str, line: EventDict
    ) -> EventDict:
        level = str(line.pop("level", "info"))
        line["severity"] = _SEVERITY.get(level, level.upper())
        name = str(line.get("event", ""))
        line["message"] = name
        if "logger" in line:
            del line["event"]
        else:
            line["message"] = name.replace("_", " ")
        if "exception" in line:
            line["stack_trace"] = line.pop("exception")
        if line["severity"] in _SERIOUS:
            line["serviceContext"] = self._context
        if self._labels:
            line[_LABELS] = self._labels
        self._add_trace(line)
        return line

    def _add_trace(self, line: EventDict) -> None:
        # Of the event that the line is about, else of the request.
        given = line.pop(LogField.TRACE, None)
        trace = Traceparent.parse(given) if isinstance(given, str) else None
        trace = trace or current.get()
        if trace is not None:
            line[_TRACE] = f"{self._prefix}{trace.trace_id}"
            line[_SPAN] = trace.span_id
            line[_SAMPLED] = trace.sampled


def _of_a_library(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    line["logger"] = line["_record"].name
    return line


def _redacted(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    return {name: _safe(name, value, 0) for name, value in line.items()}


def _safe(name: str, value: object, depth: int) -> object:
    # A number named "token" is a count; a text named "ticket" lets somebody in.
    if isinstance(value, str):
        if is_secret_name(name) or "ticket" in name.lower():
            return REDACTED
        return _SECRET_PAIR.sub(rf"\g<name>{REDACTED}", redact_text(value))
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        return {key: _safe(str(key), one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _MAX_DEPTH:
        return [_safe(name, one, depth + 1) for one in value]
    if isinstance(value, bytes | Exception):
        return _safe(name, repr(value), depth)
    return value
