"""The lease as it is written: who holds it, for what, and for how long.

Every time in it is the store's own. It has expired when the store's time passes the
time of its last write plus its term; `expires_at` says the same to people.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from ops.errors import HeldError
from ops.lease.objects import Reading

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who asks for the lease. `run` is new for every run of `ops`."""

    run: str
    owner: str
    host: str
    pid: int
    purpose: str
    command: str

    def __str__(self) -> str:
        return f"{self.owner} on {self.host} (pid {self.pid}), for {self.purpose!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """A lease that was written."""

    holder: Holder
    started_at: datetime
    expires_at: datetime
    term: timedelta

    def renewed(self, now: datetime) -> "LeaseRecord":
        return replace(self, expires_at=now + self.term)


def to_json(record: LeaseRecord) -> bytes:
    body = asdict(record.holder) | {
        "schema": SCHEMA,
        "started_at": record.started_at.isoformat(),
        "expires_at": record.expires_at.isoformat(),
        "term_seconds": record.term.total_seconds(),
    }
    return json.dumps(body, indent=2).encode()


def from_json(data: bytes, *, where: str, removal: str) -> LeaseRecord:
    """Read a lease.

    :raises HeldError: it cannot be read, so nobody may take it over.
    """
    try:
        return _record(json.loads(data))
    except (ValueError, KeyError, TypeError) as fault:
        raise HeldError(
            f"{where} is not a lease that this version can read ({fault!r});"
            f" to break it by hand, once nothing runs any more: {removal}"
        ) from fault


def expired(record: LeaseRecord, reading: Reading) -> bool:
    """Judge by the store's time alone; a host's own clock has no say."""
    return (
        reading.stored is not None
        and reading.at >= reading.stored.updated_at + record.term
    )


def _record(body: Mapping[str, object]) -> LeaseRecord:
    if body["schema"] != SCHEMA:
        raise ValueError(f"schema {body['schema']}, not {SCHEMA}")
    return LeaseRecord(
        holder=Holder(
            run=str(body["run"]),
            owner=str(body["owner"]),
            host=str(body["host"]),
            pid=int(str(body["pid"])),
            purpose=str(body["purpose"]),
            command=str(body["command"]),
        ),
        started_at=datetime.fromisoformat(str(body["started_at"])),
        expires_at=datetime.fromisoformat(str(body["expires_at"])),
        term=timedelta(seconds=float(str(body["term_seconds"]))),
    )
