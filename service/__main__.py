"""The service's command line: `python -m service serve | demo | migrate | token`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop

from service import __version__, wiring
from service.adapters import migrations
from service.contract import LogEvent
from service.demo.run import run_demo
from service.errors import ServiceError, SettingsError
from service.observe import logs
from service.settings import DatabaseSettings, DemoSettings, Settings
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
log = structlog.get_logger()


@app.command()
def serve() -> None:
    """Serve on PORT with the database at DATABASE_URL; configured by environment."""
    uvloop.run(_serve(Settings.read()))


@app.command()
def migrate() -> None:
    """Bring the schema of DATABASE_URL up to date."""
    url = DatabaseSettings.read().database_url.get_secret_value()
    applied = asyncio.run(migrations.migrate(url))
    typer.echo("\n".join(f"applied {name}" for name in applied) or "nothing to do")


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
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


async def _serve(settings: Settings) -> None:
    logs.configure(form=settings.log_format, level=settings.log_level)
    missing = await migrations.pending(settings.database_url.get_secret_value())
    before = [name for name in missing if "_pre_" in name]
    if before:
        names = ", ".join(before)
        raise SettingsError(f"the database lacks {names}: run `migrate` first")
    listener = wiring.listen(settings.bind_host, settings.port)
    async with wiring.connect(settings) as service:
        wiring.serve_metrics(service)
        async with wiring.serving(service, listener):
            wiring.collect_garbage_rarely()
            log.info(LogEvent.SERVICE_STARTED, port=settings.port, version=__version__)
            await wiring.until_told_to_stop()


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
