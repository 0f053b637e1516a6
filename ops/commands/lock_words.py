"""What `lock run` says to people, and to alerts, while it goes on and at its end."""

import json
import sys
from dataclasses import asdict

from ops.commands.traffic_check import Checked, Outcome
from ops.errors import HeldError, LostError
from ops.lease.record import LeaseRecord
from ops.target.traffic import in_words
from service.contract import OpsEvent


class LockWords:
    """Says it on standard error: standard output is the command's."""

    def __init__(self, environment: str) -> None:
        self._environment = environment

    def waiting(self, held: HeldError) -> None:
        _say(f"waiting: {held}")

    def stale(self, there: LeaseRecord) -> None:
        _say(
            f"took over the lease of {there.holder}, expired at"
            f" {there.expires_at:%Y-%m-%d %H:%M:%S} UTC: that run did not end as it"
            f" should; its command may still be running: {there.holder.command}"
        )

    def lost(self, fault: LostError) -> None:
        _say(f"lost the lease: {fault}; interrupting the command")

    def busy(self) -> None:
        _say("the command has ended or was not started yet; checking the traffic")

    def drift(self, checked: Checked, *, when: str) -> None:
        """Log one JSON line, by which an alert sees it."""
        decided = checked.decided
        line = {
            "severity": "ERROR",
            "event": OpsEvent.TRAFFIC_DRIFT,
            "environment": self._environment,
            "when": when,
            "outcome": checked.outcome,
            "found": in_words(checked.found),
            "now": in_words(checked.now),
            "decided": in_words(decided.targets) if decided else None,
            "decided_by": decided.by if decided else None,
        }
        _say(json.dumps(line))

    def before(self, checked: Checked) -> None:
        """Tell what somebody should know before the command runs."""
        if checked.outcome in {Outcome.PINNED, Outcome.RESTORED}:
            _say(sentence(checked))
        decided = checked.decided
        if decided is not None and decided.held:
            _say(
                f"traffic is held by {decided.by} since"
                f" {decided.at:%Y-%m-%d %H:%M:%S} UTC ({decided.why}):"
                " a new revision will get none"
            )

    def after(self, checked: Checked) -> None:
        _say(sentence(checked))
        if checked.unserved:
            _say(f"newest revision, unserved: {checked.unserved}")


def sentence(checked: Checked) -> str:
    """Say what was found and what holds now."""
    found, now = in_words(checked.found), in_words(checked.now)
    match checked.outcome:
        case Outcome.NONE:
            return "traffic: there is no service"
        case Outcome.KEPT:
            return f"traffic kept: {now}"
        case Outcome.PINNED:
            return f"traffic pinned: found {found}, now {now}"
        case Outcome.RESTORED:
            return f"traffic was moved and is restored: found {found}, now {now}"
        case Outcome.DRIFTED:
            return f"traffic is not as decided, and was left so: {found}"
        case Outcome.UNVERIFIED:
            return f"traffic is NOT PROVED: {checked.reason}; last seen: {now}"


def checked_as_json(checked: Checked) -> dict[str, object]:
    """Return what a program wants to know of a check."""
    decided = checked.decided
    return {
        "outcome": checked.outcome,
        "reason": checked.reason,
        "found": [asdict(one) for one in checked.found],
        "now": [asdict(one) for one in checked.now],
        "decided": None
        if decided is None
        else asdict(decided) | {"at": decided.at.isoformat()},
        "unserved": checked.unserved,
    }


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
