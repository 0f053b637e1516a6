"""`python -m service verify`: whether everything holds that must."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from service.adapters.database_access import Where
from service.adapters.postgres_integrity import PostgresIntegrity
from service.app.integrity import Report, verify
from service.core.backoff import Schedule
from service.errors import SettingsError


async def check(where: Where, *, user: str | None) -> Report:
    """Check the database, or one user, at one instant while others write to it.

    Raises:
        SettingsError: there is no such user, or no such database.
        UnavailableError: the database is away.
    """
    source = PostgresIntegrity(where, budget=Schedule().budget)
    report = await verify(source, user=user)
    if user is not None and not report.users:
        raise SettingsError(f"user: there is no stream of {user}")
    return report


def as_json(report: Report) -> str:
    """Return the report for programs."""
    return json.dumps({"holds": report.holds, **asdict(report)}, indent=2)


def as_text(report: Report) -> str:
    """Return the report for people: the sums, then what does not hold."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    rows = [
        ("users", report.users),
        ("published", report.published),
        *((outcome.value, count) for outcome, count in report.outcomes.items()),
        ("open", report.open),
        ("violations", report.found),
    ]
    for name, count in rows:
        yield f"{name:<12}{count:>14,}"
    for one in report.violations:
        yield f"{one.user}: {one.rule}: {one.detail}"
    if report.found > len(report.violations):
        yield f"... and {report.found - len(report.violations):,} more"
    yield "everything holds" if report.holds else "NOT EVERYTHING HOLDS"
