"""Runs a program against the recording monitor. Once per process: Pulumi is global."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockEngine, MockSettings
from pulumi.runtime.settings import configure
from pulumi.runtime.stack import run_in_stack

from infra.render.graph import Graph
from infra.render.monitor import CloudAnswers, RecordingMonitor
from infra.render.settings import Settings
from service.contract import SERVICE_NAME

ROOT = Path(__file__).resolve().parents[2]


def run(
    program: Callable[[], None], *, stack: str, settings: Settings, known: bool = True
) -> Graph:
    """Run the program as a preview and return all that it asked for.

    With `known` the cloud's answers are filled in where the program needs them;
    without, every computed output is unknown, as before the first `up`.
    """
    monitor = RecordingMonitor(
        CloudAnswers(
            project=settings.values.get("gcp:project", ""),
            region=settings.values.get("gcp:region", ""),
            known=known,
        ),
        root=str(ROOT),
    )
    messages = _Messages()
    _configure(monitor, messages, stack=stack, settings=settings)
    asyncio.run(run_in_stack(program))
    return Graph(
        stack=stack,
        resources=tuple(sorted(monitor.registered, key=lambda r: (r.urn, r.source))),
        outputs=monitor.outputs,
        config=dict(settings.values),
        secret_config=settings.secret_keys,
        stand_ins=settings.stand_ins,
        messages=tuple(messages.lines),
    )


def _configure(
    monitor: RecordingMonitor,
    messages: "_Messages",
    *,
    stack: str,
    settings: Settings,
) -> None:
    logger = logging.Logger("infra.render")  # noqa: LOG001 -- this run's alone
    logger.addHandler(messages)
    configure(
        MockSettings(  # type: ignore[no-untyped-call] # the SDK's mocks have no types
            monitor=monitor,
            monitor_features=set(),
            engine=MockEngine(logger),
            project=SERVICE_NAME,
            stack=stack,
            dry_run=True,
            organization=None,
            callbacks=None,
        )
    )
    set_all_config(dict(settings.values), list(settings.secret_keys))


class _Messages(logging.Handler):
    """Keeps what the program told the person who runs it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname.lower()}: {record.getMessage()}")
