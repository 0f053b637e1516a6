"""The commands and their arguments; the one place that turns errors into exit codes.

Exit codes: 0 healthy, 1 unhealthy, 2 usage, 3 unreachable.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.commands.status import Health, read_health
from ops.errors import OpsError, UsageError

app = typer.Typer(
    name="ops",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Watch a running event service.",
)


@app.callback()
def program() -> None:
    """Watch a running event service."""


@app.command()
def status(
    *,
    url: Annotated[str, typer.Option(help="Where the service is: http(s)://host.")],
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with an operator's token; tells the dependencies too."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for an answer.", min=0.1, max=60)
    ] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object.")
    ] = False,
) -> None:
    """Show status, version, revision and dependencies.

    Exit codes: 0 healthy, 1 unhealthy, 2 usage, 3 unreachable.
    """
    health = read_health(url, token=_token(token_file), timeout_seconds=timeout)
    if as_json:
        sys.stdout.write(json.dumps(asdict(health)) + "\n")
    else:
        Console().print(_table(health))
    raise typer.Exit(0 if health.healthy else 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with the code of what went wrong, if it did."""
    try:
        app(arguments)
    except OpsError as fault:
        sys.stderr.write(f"{fault}\n")
        sys.exit(fault.exit_code)


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"--token-file: {fault}") from fault


def _table(health: Health) -> Table:
    rows = [
        ("status", health.status),
        ("service", health.service),
        ("version", health.version),
        ("revision", health.revision),
        *((one.name, f"{one.status} {one.detail}") for one in health.dependencies),
    ]
    table = Table(show_header=False)
    for name, value in rows:
        # Text: what a service says is never read as markup.
        table.add_row(Text(name), Text(value.strip() or "not told"))
    return table
