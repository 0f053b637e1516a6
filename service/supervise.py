"""Several worker processes behind one port, and the process that looks after them.

On Linux every worker listens by itself on the port (SO_REUSEPORT) and the kernel
spreads connections evenly by their addresses. Elsewhere the kernel does not spread
them, so the workers share one socket that they inherit: whoever is awake takes the
next connection.

A worker that ends is started again. The workers hold the reading end of a pipe that
nobody writes to: when the supervisor is gone, however it went, the pipe ends and they
stop by themselves.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from service import wiring
from service.contract import Env, LogEvent, LogField
from service.observe.joined import JoinedMetrics
from service.settings import Settings, environment_with

STEADY_SECONDS = 5.0  # a worker that lived so long had started
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_STOP_SECONDS = 20.0  # a worker ends in 10; then it is killed
_LIBRARY_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # read by prometheus_client itself

Spawn = Callable[[int], Awaitable[Process]]
log = structlog.get_logger()


async def supervise(settings: Settings) -> int:
    """Run WORKERS workers until SIGTERM or SIGINT, and return the exit code.

    0 when every worker ended well; the worker's own when none could start.

    Raises:
        SettingsError: the port is taken.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(_private_folder())
        metrics = JoinedMetrics(folder)
        place = stack.enter_context(_place(settings.bind_host, settings.port))
        lifeline = stack.enter_context(_lifeline())
        wiring.serve_metrics(settings.metrics_port, metrics.registry)
        fds = (lifeline, *place.inherited)
        environment = environment_with(
            **{_LIBRARY_FOLDER: str(folder), Env.PORT: str(place.port)}
        )

        async def spawn(slot: int) -> Process:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "service", "worker"),
                *map(str, fds),
                env={**environment, Env.WORKER_SLOT: str(slot)},
                pass_fds=fds,
                # Ctrl-C in a terminal is for the supervisor, which passes it on once.
                process_group=0,
            )

        return await Supervisor(settings.workers, spawn, metrics).run()


@dataclass(slots=True)
class _Life:
    """One worker process and when it began."""

    process: Process
    began: float

    def steady(self) -> bool:
        return time.monotonic() - self.began >= STEADY_SECONDS


class Supervisor:
    """Keeps so many workers running.

    Args:
        count: How many.
        spawn: Starts the worker of a slot.
        metrics: Told of every end.
    """

    def __init__(self, count: int, spawn: Spawn, metrics: JoinedMetrics) -> None:
        self._slots = range(1, count + 1)
        self._spawn = spawn
        self._metrics = metrics
        self._lives: dict[int, _Life] = {}
        self._stopping = asyncio.Event()
        self._started = False  # some worker has lived long enough
        self._failed: set[int] = set()  # slots that ended before any had started
        self._code = 0

    async def run(self) -> int:
        """Keep them running until told to stop; return the exit code."""
        async with asyncio.TaskGroup() as tasks:
            told = tasks.create_task(self._until_told())
            keepers = [tasks.create_task(self._keep(slot)) for slot in self._slots]
            await self._stopping.wait()
            told.cancel()
            self._signal(signal.SIGTERM)
            _, late = await asyncio.wait(keepers, timeout=_STOP_SECONDS)
            if late:
                self._signal(signal.SIGKILL)
        return self._code

    async def _until_told(self) -> None:
        await wiring.until_told_to_stop()
        self._stopping.set()

    async def _keep(self, slot: int) -> None:
        short_lives = 0
        while not self._stopping.is_set():
            life = await self._live(slot)
            if self._stopping.is_set():
                return
            self._metrics.restarts.inc()
            short_lives = 0 if life.steady() else short_lives + 1
            pause = _FIRST_PAUSE_SECONDS * 2.0 ** min(short_lives, 10)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, _LONGEST_PAUSE_SECONDS)):
                    await self._stopping.wait()

    async def _live(self, slot: int) -> _Life:
        """Start a worker and wait for its end."""
        process = await self._spawn(slot)
        life = self._lives[slot] = _Life(process, time.monotonic())
        fields = {LogField.WORKER: slot, "pid": process.pid}
        self._metrics.workers.set(len(self._lives))
        log.info(LogEvent.WORKER_STARTED, **fields)
        if self._stopping.is_set():
            process.terminate()  # told while it was being started
        code = await process.wait()
        del self._lives[slot]
        self._metrics.workers.set(len(self._lives))
        self._metrics.ended(slot)
        expected = self._stopping.is_set()
        write = log.info if expected and code == 0 else log.warning
        write(LogEvent.WORKER_ENDED, **fields, **{LogField.CODE: code})
        self._judge(slot, life, code)
        return life

    def _judge(self, slot: int, life: _Life, code: int) -> None:
        """Give up when every worker has failed and none had ever started."""
        if self._stopping.is_set():
            # The signal may have come before the worker listened to it.
            self._code = self._code or int(code not in (0, -signal.SIGTERM))
            return
        lives = [life, *self._lives.values()]
        self._started = self._started or any(one.steady() for one in lives)
        self._failed.add(slot)
        if not self._started and self._failed.issuperset(self._slots):
            self._code = code if code > 0 else 1
            self._stopping.set()

    def _signal(self, number: signal.Signals) -> None:
        for life in self._lives.values():
            with suppress(ProcessLookupError):
                life.process.send_signal(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the workers listen. `inherited`: the shared socket, if they share one."""

    port: int
    inherited: tuple[int, ...] = ()


@contextmanager
def _place(host: str, port: int) -> Iterator[_Place]:
    listener = wiring.listen(host, port)  # complains if somebody else is there
    if not wiring.KERNEL_SPREADS:
        with listener:
            listener.set_inheritable(True)
            number = listener.getsockname()[1]
            yield _Place(port=number, inherited=(listener.fileno(),))
        return
    address = listener.getsockname()
    listener.close()
    # Bound and never listening: it takes no connection, and keeps the port ours
    # while all workers are down.
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(address)
        yield _Place(port=address[1])


@contextmanager
def _lifeline() -> Iterator[int]:
    """Give the end of a pipe to hand to the workers; the other end dies with us."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(writing)
        os.close(reading)


@contextmanager
def _private_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="event-service-metrics-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
