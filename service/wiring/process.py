"""What concerns the process: its ports, signals, logs and garbage."""

import asyncio
import gc
import signal
import socket
import sys
import time
from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry, start_http_server

from service.adapters.secret_file import local_secret
from service.contract import Env, LogEvent
from service.errors import Fault, SettingsError
from service.observe import logs
from service.settings import DemoSettings, Settings
from service.transport.auth import Tokens
from service.wiring.name import node_of

# Whether several processes that listen on one port each get their share.
KERNEL_SPREADS = sys.platform == "linux"

log = structlog.get_logger()


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Open a port; 0 is any free one; `shared` with other workers that say so, too.

    Raises:
        SettingsError: it is taken, or not ours to take.
    """
    try:
        return socket.create_server((host, port), backlog=2_048, reuse_port=shared)
    except OSError as exc:
        raise _port_fault(Env.PORT, host, port, exc) from exc


def _port_fault(name: Env, host: str, port: int, cause: OSError) -> SettingsError:
    fault = Fault(name, f"{host}:{port} cannot be opened ({cause.strerror})")
    return SettingsError(str(fault), faults=[fault])


def configure_logs(settings: Settings) -> None:
    """Set up logging as the settings say; every line names this process."""
    node = node_of(settings)
    logs.configure(
        form=settings.log_format,
        level=settings.log_level,
        project=settings.google_cloud_project,
        labels={"revision": node.revision, "instance": node.instance},
    )


def collect_garbage_rarely() -> None:
    """Keep the cycle collector out of the way; once per process, when it has started.

    By default it looks at thousands of events in flight again and again: a backlog
    then costs more than the work itself. What exists now is never looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 100)


def serve_metrics(port: int, registry: CollectorRegistry) -> None:
    """Serve Prometheus metrics on their own port, on this machine only; 0: not."""
    if not port:
        return
    try:
        start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as exc:
        raise _port_fault(Env.METRICS_PORT, "127.0.0.1", port, exc) from exc


async def until_told_to_stop(lifeline: int | None = None) -> None:
    """Return at the first SIGTERM or SIGINT, or when the pipe `lifeline` ends."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def lost(pipe: int) -> None:
        loop.remove_reader(pipe)
        log.warning(LogEvent.SUPERVISOR_LOST)
        told.set()

    if lifeline is not None:
        loop.add_reader(lifeline, lost, lifeline)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)  # a second one ends the process at once


def token_signer(
    settings: DemoSettings,
) -> Callable[[str, frozenset[str], float], str]:
    """Return what signs tokens for development: user, scopes, seconds → token."""
    secret = (
        settings.auth_secret.get_secret_value()
        if settings.auth_secret is not None
        else local_secret(settings.data_dir)
    )
    tokens = Tokens(
        secret=secret,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        wall=time.time,
    )
    return lambda user, scopes, seconds: tokens.new(
        user, scopes=scopes, seconds=seconds
    )
