"""Structured logs: one JSON object a line, or coloured text for a terminal."""

import logging
import sys
from collections.abc import Sequence

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_QUIET = ("picows", "service.socket", "uvicorn.access", "asyncio", "httpx")
# Cloud Logging reads these names.
_SEVERITY = {"warn": "WARNING", "exception": "ERROR"}


def configure(*, form: str, level: str) -> None:
    """Set up logging for the process; the standard library's goes the same way.

    Args:
        form: `json` or `console`.
        level: The least severity that is written.
    """
    shared: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    )
    last: Sequence[Processor] = (
        (structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),)
        if form == "console"
        else (
            structlog.processors.format_exc_info,
            _severity,
            structlog.processors.JSONRenderer(),
        )
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *last,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def _severity(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    level = str(event.pop("level", "info"))
    event["severity"] = _SEVERITY.get(level, level.upper())
    return event
