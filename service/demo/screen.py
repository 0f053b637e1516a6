"""What the demo says in the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from service.core.delivery import Outcome
from service.demo.tally import Tally


class Screen:
    """Steps, links, progress and the final counts."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def step(self, text: str) -> None:
        """Say what was done."""
        self._console.print(f"[green]✓[/green] {text}")

    def note(self, text: str) -> None:
        """Say something that matters."""
        self._console.print(f"[yellow]•[/yellow] {text}")

    def links(self, page: str, console: str) -> None:
        """Show the links; each works once, within ten minutes."""
        table = Table.grid(padding=(0, 2))
        table.add_row("watch the agent", Text(page, style="bold cyan"))
        table.add_row("operate", Text(console, style="cyan"))
        # No panel around them: a frame would break long links when copied.
        self._console.print(table, soft_wrap=True)

    @contextmanager
    def progress(self, tally: Tally) -> Iterator["Following"]:
        """Show how many events are published and confirmed, while the block runs."""
        columns = (
            TextColumn("[bold]{task.fields[published]:>5}[/bold] published"),
            BarColumn(),
            TextColumn("[bold green]{task.completed:>5}[/bold green] confirmed"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            yield Following(progress, tally)

    def findings(self, text: str) -> None:
        """Show what the agent found."""
        self._console.print(Panel(Text(text), title="the agent found"))

    def counts(self, tally: Tally, redelivered: int) -> None:
        """Show the final counts of this run."""
        p50, p95, p99 = tally.percentiles_ms()
        table = Table(title="this run")
        for name in ("published", "confirmed", "redelivered", "dead", "open"):
            table.add_column(name, justify="right")
        table.add_column("commit → confirmed p50 / p95 / p99", justify="right")
        table.add_row(
            str(tally.published),
            str(tally.confirmed),
            str(redelivered),
            str(tally.outcomes.get(Outcome.DEAD, 0)),
            str(tally.open),
            f"{p50:.1f} / {p95:.1f} / {p99:.1f} ms",
        )
        self._console.print(table)
        share = 100 * tally.confirmed / tally.published if tally.published else 0.0
        style = "green" if tally.confirmed == tally.published else "red"
        self._console.print(f"[bold {style}]{share:.0f} % confirmed[/bold {style}]")


class Following:
    """The progress line of one run."""

    def __init__(self, progress: Progress, tally: Tally) -> None:
        self._progress = progress
        self._tally = tally
        self._task = progress.add_task("", total=None, published=0)

    def update(self) -> None:
        """Show the counts as they are now."""
        self._progress.update(
            self._task,
            total=max(1, self._tally.published),
            completed=self._tally.confirmed,
            published=self._tally.published,
        )
