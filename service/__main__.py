"""The service's command line: `python -m service serve | demo | migrate | token`."""

import asyncio
import socket
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop

from service import __version__, wiring
from service.adapters import migrations
from service.chaos.command import chaos
from service.commands import new_epoch as epochs
from service.commands import verify as integrity
from service.contract import Env, LogEvent
from service.demo.run import run_demo
from service.errors import ServiceError, SettingsError
from service.observe.joined import keep_in_slot
from service.settings import (
    DatabaseSettings,
    DemoSettings,
    MigrationSettings,
    Settings,
)
from service.supervise import supervise
from service.transport.auth import OPERATE, PUBLISH, SCOPES

EXIT_FAILED = 1
EXIT_USAGE = 2
_HERE = Path()

app = typer.Typer(
    help="Events of AI agents, kept until the user's own client confirms them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(chaos)
log = structlog.get_logger()


@app.command()
def serve() -> None:
    """Serve on PORT with the database at DATABASE_URL; configured by environment."""
    settings = Settings.read()
    if settings.workers > 1:
        sys.exit(asyncio.run(_supervise(settings)))
    uvloop.run(_serve(settings))


@app.command(hidden=True)
def worker(
    lifeline: int, listener: Annotated[int | None, typer.Argument()] = None
) -> None:
    """Serve as one of several workers; started by `serve` only.

    Given are file descriptors: of a pipe that ends with the supervisor, and of the
    socket that the workers share where the kernel does not spread connections.
    """
    settings = Settings.read()
    if settings.worker_slot is None:
        raise SettingsError(
            f"{Env.WORKER_SLOT}: is set by `serve`, which starts workers"
        )
    keep_in_slot(settings.worker_slot)
    uvloop.run(_serve(settings, lifeline=lifeline, inherited=listener))


@app.command()
def migrate() -> None:
    """Bring the schema of DATABASE_URL up to date; let DATABASE_RUNTIME_USER use it."""
    settings = MigrationSettings.read()
    user = settings.database_runtime_user
    access = wiring.database_access(settings)
    applied = asyncio.run(migrations.migrate(access, runtime_user=user))
    typer.echo("\n".join(f"applied {name}" for name in applied) or "nothing to apply")
    if user is not None:
        typer.echo(f"{user} may serve")


@app.command()
def token(
    user: Annotated[str, typer.Option(help="Who the token is for (its `sub`).")],
    scope: Annotated[
        list[str] | None, typer.Option(help=f"{PUBLISH} or {OPERATE}; repeatable.")
    ] = None,
    hours: Annotated[float, typer.Option(min=0.001, max=24 * 365)] = 12.0,
) -> None:
    """Print a token for development, signed with AUTH_SECRET or the demo's secret."""
    unknown = set(scope or ()) - SCOPES
    if unknown:
        raise typer.BadParameter(f"unknown scope: {', '.join(sorted(unknown))}")
    signer = wiring.token_signer(DemoSettings.read())
    typer.echo(signer(user, frozenset(scope or ()), hours * 3600))


@app.command()
def demo(
    folder: Annotated[
        Path,
        typer.Argument(help="The agent explores this folder and nothing outside it."),
    ] = _HERE,
    port: Annotated[int, typer.Option(help="0: any free one.")] = 8080,
) -> None:
    """Serve on this machine, with a database of its own, and watch an agent work.

    The folder is this one by default. The database stays in DATA_DIR (.data).
    """
    if not folder.is_dir():
        raise SettingsError(f"folder: {folder} is not a folder")
    sys.exit(uvloop.run(run_demo(folder, port, DemoSettings.read())))


@app.command()
def verify(
    user: Annotated[str | None, typer.Option(help="Only this user.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON.")
    ] = False,
) -> None:
    """Check that every event is accounted for, in the live database DATABASE_URL.

    Exits with 1 when something does not hold; each violation is named.
    """
    access = wiring.database_access(DatabaseSettings.read())
    report = asyncio.run(integrity.check(access, user=user))
    show = integrity.as_json if as_json else integrity.as_text
    typer.echo(show(report))
    sys.exit(0 if report.holds else EXIT_FAILED)


@app.command()
def new_epoch(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Give every stream a new epoch: part of every restore of the database.

    Every client is told `reset` when it connects. If it is ended, run it again.
    """
    access = wiring.database_access(DatabaseSettings.read())
    question = "Every client will start anew from its first unsettled event. Go on?"
    if not yes and not typer.confirm(question):
        raise typer.Exit(EXIT_FAILED)
    done = asyncio.run(epochs.renew(access, on_progress=_tell_progress))
    typer.echo(f"{done:,} streams have a new epoch")


def _tell_progress(done: int) -> None:
    typer.echo(f"{done:,} ...", err=True)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


async def _serve(
    settings: Settings, *, lifeline: int | None = None, inherited: int | None = None
) -> None:
    wiring.configure_logs(settings)
    await _check_schema(settings)
    is_worker = lifeline is not None
    listener = (
        wiring.listen(settings.bind_host, settings.port, shared=is_worker)
        if inherited is None
        else socket.socket(fileno=inherited)
    )
    async with wiring.connect(settings) as service:
        if not is_worker:
            wiring.serve_metrics(settings.metrics_port, service.metrics.registry)
        async with wiring.serving(service, listener):
            wiring.collect_garbage_rarely()
            log.info(LogEvent.SERVICE_STARTED, port=settings.port, version=__version__)
            await wiring.until_told_to_stop(lifeline)


async def _supervise(settings: Settings) -> int:
    wiring.configure_logs(settings)
    await _check_schema(settings)
    return await supervise(settings)


async def _check_schema(settings: Settings) -> None:
    missing = await migrations.pending(wiring.database_access(settings))
    before = [name for name in missing if "_pre_" in name]
    if before:
        names = ", ".join(before)
        raise SettingsError(f"the database lacks {names}: run `migrate` first")


def main() -> None:
    """Run the command line; expected failures are one line on stderr."""
    try:
        app()
    except SettingsError as error:
        typer.echo(f"{error.title}: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except ServiceError as error:
        typer.echo(f"{error.title}: {error}", err=True)
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
