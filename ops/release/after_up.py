"""What to do about the traffic that an `up` left behind.

`up` moves no traffic, in no direction. What must hold afterwards is what was last
decided; where nobody decided anything, what was there before. LATEST is never restored:
it would send everything to whatever comes next, so it is pinned where it is found.
"""

from dataclasses import dataclass
from enum import StrEnum

from ops.target.decision import Decision
from ops.target.traffic import Targets, Traffic, names_latest, pinned, same_route


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Traffic is as it should be, or there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Traffic was moved by nobody who may: write this instead."""

    targets: Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Traffic goes to LATEST: write the revision that serves now instead."""

    targets: Targets


class OnDrift(StrEnum):
    """What to do when traffic is not as decided before anything ran."""

    REFUSE = "refuse"
    RESTORE = "restore"  # what was decided holds
    ADOPT = "adopt"  # what is there holds: decide it


Verdict = Keep | Restore | Pin


def after_up(
    before: Traffic | None, decided: Decision | None, found: Traffic | None
) -> Verdict:
    """Judge the traffic `found`, given what was there `before` and what was decided."""
    if found is None:
        return Keep()
    wanted = _wanted(before, decided, found)
    if wanted and not same_route(wanted, found.targets):
        return Restore(targets=wanted)
    if names_latest(found.targets) and found.latest_ready:
        return Pin(targets=pinned(found.targets, found.latest_ready))
    return Keep()


def _wanted(
    before: Traffic | None, decided: Decision | None, found: Traffic
) -> Targets | None:
    """Return what must hold; None if nobody said, or said it of another service."""
    if decided is not None and decided.service_uid == found.uid:
        return decided.targets
    if before is None or before.uid != found.uid or names_latest(before.targets):
        return None
    return before.targets
