"""The commands and their arguments; the one place that turns errors into exit codes.

What a command needs is imported when it runs: Google's libraries take a second, and
`--help` should answer at once. The exit codes are listed in `ops.errors`.
"""

import json
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.errors import OpsError, UsageError
from ops.release.after_up import OnDrift
from service.contract import SERVICE_NAME

if TYPE_CHECKING:
    from rich.table import Table

    from ops.commands.status import Health
    from ops.platforms.port import Platform
    from ops.target.place import Place

app = typer.Typer(
    name="ops",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Watch and change a running event service.",
)
lock = typer.Typer(
    no_args_is_help=True, help="The lease that one writer of an environment holds."
)
app.add_typer(lock, name="lock")
alerts = typer.Typer(
    no_args_is_help=True, help="The alerts that follow from ops/slo/objectives.yaml."
)
app.add_typer(alerts, name="alerts")


class Environment(StrEnum):
    """The environments; each is a stack of that name."""

    STAGING = "staging"
    PROD = "prod"


@app.callback()
def program() -> None:
    """Watch and change a running event service."""


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
    from rich.console import Console

    from ops.commands.status import read_health

    health = read_health(url, token=_token(token_file), timeout_seconds=timeout)
    if as_json:
        sys.stdout.write(json.dumps(asdict(health)) + "\n")
    else:
        Console().print(_table(health))
    raise typer.Exit(0 if health.healthy else 1)


@lock.command("run", context_settings={"allow_interspersed_args": False})
def lock_run(
    *,
    environment: Annotated[
        Environment, typer.Option("--env", help="The environment, which is the stack.")
    ],
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="What to run, after `--`.")
    ],
    lease: Annotated[
        str,
        typer.Option(
            envvar="PULUMI_BACKEND_URL",
            help="Where leases lie, beside Pulumi's state: gs://BUCKET or"
            " file:///DIRECTORY.",
        ),
    ],
    project: Annotated[
        str, typer.Option(help="The service's project; else the stack's outputs tell.")
    ] = "",
    region: Annotated[
        str, typer.Option(help="The service's region; else the stack's outputs tell.")
    ] = "",
    service: Annotated[
        str, typer.Option(help="The service's name, with --project and --region.")
    ] = SERVICE_NAME,
    purpose: Annotated[
        str, typer.Option(help="Why, for whoever finds it held; else the command.")
    ] = "",
    owner: Annotated[
        str, typer.Option(help="Who, for whoever finds it held; else your account.")
    ] = "",
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for a lease that is held.", min=0)
    ] = 0,
    ttl: Annotated[
        float,
        typer.Option(help="Seconds after which a dead run's lease is free.", min=1),
    ] = 120,
    grace: Annotated[
        float,
        typer.Option(help="Seconds to end in, for a run that lost its lease.", min=0),
    ] = 120,
    verify: Annotated[
        float, typer.Option(help="Seconds for traffic to be proved right.", min=1)
    ] = 60,
    on_drift: Annotated[
        OnDrift,
        typer.Option(help="If traffic is not as decided before anything ran."),
    ] = OnDrift.REFUSE,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as the last line.")
    ] = False,
    api_endpoint: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Run COMMAND under the environment's lease; traffic stays as decided.

    Exit codes: the command's own, or 2 usage, 4 traffic had to be restored or is not
    proved, 6 held by another, lost, or drift, 7 not permitted, 8 no answer,
    130 interrupted before the command ran.
    """
    from ops.commands.lock_run import LockRun, run_under_lease
    from ops.commands.lock_words import LockWords
    from ops.lease.address import open_store
    from ops.lease.holder import this_run

    task = LockRun(
        environment=environment,
        command=_existing(command),
        holder=this_run(command, owner=owner, purpose=purpose),
        term_seconds=ttl,
        wait_seconds=wait,
        grace_seconds=grace,
        verify_seconds=verify,
        on_drift=on_drift,
    )
    find = _find_platform(
        environment, _place(project, region, service), api_endpoint or None
    )
    with open_store(lease, environment=environment) as store:
        result = run_under_lease(task, store, find, LockWords(environment))
    if as_json:
        sys.stdout.write(json.dumps(result.as_json()) + "\n")
    raise typer.Exit(result.exit_code)


@alerts.command("render")
def alerts_render(
    *,
    environment: Annotated[
        Environment, typer.Option("--env", help="Whose targets and limits.")
    ],
) -> None:
    """Print the alerts as a Prometheus rule file."""
    from ops.commands.alerts import render

    sys.stdout.write(render(environment))


@alerts.command("test")
def alerts_test(
    *,
    environment: Annotated[
        Environment, typer.Option("--env", help="Whose targets and limits.")
    ],
    cache: Annotated[
        Path, typer.Option(envvar="XDG_CACHE_HOME", help="Where the tools folder is.")
    ] = Path("~/.cache"),
) -> None:
    """Run every alert's scenarios through promtool.

    Exit codes: 0 all hold, 1 some do not, 2 usage.
    """
    from ops.commands.alerts import find_promtool, prove

    proof = prove(environment, promtool=find_promtool(cache))
    if not proof.holds:
        sys.stderr.write(proof.output)
        raise typer.Exit(1)
    sys.stdout.write(f"{proof.scenarios} scenarios hold.\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with the code of what went wrong, if it did."""
    # Google's libraries say at every start how long they will support this Python.
    warnings.filterwarnings("ignore", "You are using a Python version", FutureWarning)
    try:
        app(arguments)
    except OpsError as fault:
        sys.stderr.write(f"{fault}\n")
        sys.exit(fault.exit_code)


def _find_platform(
    environment: Environment, given: "Place | None", endpoint: str | None
) -> "Callable[[], Platform | None]":
    """Return how to find the service, which the command may just have made."""
    from ops.platforms.cloud_run import connect
    from ops.platforms.stack_outputs import read_place

    def find() -> "Platform | None":
        place = given or read_place(environment)
        return connect(place, endpoint=endpoint) if place else None

    return find


def _place(project: str, region: str, service: str) -> "Place | None":
    from ops.target.place import Place

    if bool(project) != bool(region):
        raise UsageError("--project, --region: give both, or neither")
    if not service:
        raise UsageError("--service: must not be empty")
    if not project:
        return None
    return Place(project=project, region=region, service=service)


def _existing(command: Sequence[str]) -> Sequence[str]:
    """Return the command, if it can be run at all: before anything is done."""
    if shutil.which(command[0]) is None:
        raise UsageError(f"COMMAND: {command[0]!r} is not a program on PATH")
    return command


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"--token-file: {fault}") from fault


def _table(health: "Health") -> "Table":
    from rich.table import Table
    from rich.text import Text

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
