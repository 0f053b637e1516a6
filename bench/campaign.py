"""Rows measured in turns beside one PostgreSQL, then printed and kept as JSON."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bench import machine, peer, repetition
from bench.bars import Verdict
from bench.options import Options
from bench.orders import Load
from bench.repetition import Repetition
from bench.table import MeasuredRow, table
from service.adapters.embedded_postgres import EmbeddedPostgres


def _one_service(load: Load, database_url: str) -> Repetition:
    return repetition.run(repetition.SERVICE, load, database_url=database_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What to measure."""

    name: str
    load: Load
    is_peer: bool = False
    measure: Callable[[Load, str], Repetition] = _one_service


def service_row(load: Load) -> Row:
    """Return a row for the service."""
    frames = "one event a frame" if load.frame_events == 1 else "events grouped"
    acks = "one ack an event" if load.ack_events == 1 else "acks grouped"
    rate = f", {load.rate:,}/s" if load.rate else ""
    return Row(name=f"service, {frames}, {acks}{rate}", load=load)


def peer_row(load: Load) -> Row:
    """Return a row for Socket.IO."""
    rate = f", {load.rate:,}/s" if load.rate else ""
    name = f"Socket.IO, {load.api}, memory only{rate}"
    return Row(name=name, load=load, is_peer=True)


class Campaign:
    """Measures rows in turns: one repetition of each, then the next of each."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._peer = peer.install() if options.peer else None
        self._postgresql = ""

    def run(self, rows: Sequence[Row]) -> Sequence[MeasuredRow]:
        """Return the rows with all their repetitions; the peer's only if wanted."""
        wanted = [self._fitted(row) for row in rows if self._peer or not row.is_peer]
        found = [
            MeasuredRow(name=row.name, load=row.load, repetitions=[]) for row in wanted
        ]
        with self._database() as postgres:
            for _ in range(self._options.repetitions):
                for row, measured in zip(wanted, found, strict=True):
                    one = self._once(postgres, row)
                    measured.repetitions.append(one)
        return found

    def keep(self, name: str, rows: Sequence[MeasuredRow], verdict: Verdict) -> None:
        """Print the table and the verdict, and keep the results if wanted."""
        print(table(rows))
        print(verdict)
        results = {
            "name": name,
            "command": self._options.command,
            "commit": machine.commit(),
            "machine": machine.machine(),
            "versions": machine.versions(self._postgresql, self._peer),
            "verdict": verdict,
            "rows": rows,
        }
        if folder := self._options.results:
            folder.mkdir(parents=True, exist_ok=True)
            text = msgspec.json.format(msgspec.json.encode(results))
            (folder / f"{name}.json").write_bytes(text + b"\n")

    def _fitted(self, row: Row) -> Row:
        load = msgspec.structs.replace(
            row.load,
            users=self._options.users,
            warm_seconds=self._options.warm_seconds,
            measure_seconds=self._options.seconds,
        )
        return replace(row, load=load)

    @contextmanager
    def _database(self) -> Iterator[EmbeddedPostgres]:
        """Give a server whose commits wait for the disk, as in production."""
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            EmbeddedPostgres.start(Path(folder) / "postgres") as postgres,
        ):
            self._postgresql = postgres.sql("SHOW server_version").strip()
            yield postgres

    def _once(self, postgres: EmbeddedPostgres, row: Row) -> Repetition:
        if row.is_peer and self._peer is not None:
            found = repetition.run(repetition.socketio(self._peer), row.load)
        else:
            with _fresh_database(postgres) as url:
                found = row.measure(row.load, url)
        _tell_progress(row, found)
        return found


@contextmanager
def _fresh_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    postgres.sql("CREATE DATABASE measured")
    try:
        yield postgres.url_of("measured")
    finally:
        postgres.sql("DROP DATABASE measured WITH (FORCE)")


def _tell_progress(row: Row, found: Repetition) -> None:
    print(
        f"{row.name}: {found.events_per_second:,.0f}/s, "
        f"p50 {found.p50_ms} ms, p99 {found.p99_ms} ms, "
        f"server {found.server_cores} cores, calibration {found.calibration_ms} ms",
        file=sys.stderr,
        flush=True,
    )
