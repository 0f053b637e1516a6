"""Reads `tests/vectors/server/*.json` and runs a script on the session machine."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service.core.action import Action, Cancel, Open, Send
from service.core.delivery import Outcome, TryAgain
from service.core.frame import ClientFrame
from service.core.limits import Identity, Limits
from service.core.log import LogEntry
from service.core.move import MoveReason
from service.core.resume import Stream, resume
from service.core.session import Session
from tests.unit.service.core.session_kit import entry, new_session, page

FOLDER = Path(__file__).parents[3] / "vectors" / "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One script of one file; its steps stay plain JSON."""

    name: str
    limits: dict[str, Any]
    jitter: float
    steps: list[dict[str, Any]]


def scripts() -> Iterator[Script]:
    for path in sorted(FOLDER.glob("*.json")):
        for script in json.loads(path.read_text()):
            yield Script(
                name=f"{path.stem}: {script['promise']}",
                limits=script.get("limits", {}),
                jitter=script.get("jitter", 1.0),
                steps=script["steps"],
            )


class Play:
    """A machine and what its surroundings remember between two steps."""

    def __init__(self, script: Script) -> None:
        self._session = new_session(Limits(**script.limits), jitter=script.jitter)
        self._hello: ClientFrame  # of the Open action

    def step(self, step: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the actions as the vector writes them."""
        ((name, value),) = step["in"].items()
        actions = self._feed(name, value, step["at"])
        for action in actions:
            if isinstance(action, Open):
                self._hello = action.hello
        return [_plain(action) for action in actions]

    def _feed(
        self, name: str, value: dict[str, Any], now: float
    ) -> Sequence[Action | dict[str, Any]]:
        session = self._session
        match name:
            case "frame":
                return session.receive(json.dumps(value).encode(), now)
            case "opened" | "outdated":
                return self._opened(value, now, outdated=name == "outdated")
            case "offer":
                offered = session.offer(value["seq"], value["size"], now)
                return [{"do": "offered"}] if offered else session.pump()
            case "page" | "redelivered" | "renewed":
                return _answer(session, name, value, now)
            case _:
                return _simple(session, name, value, now)

    def _opened(
        self, value: dict[str, Any], now: float, *, outdated: bool
    ) -> Sequence[Action]:
        stream = Stream(
            epoch=value["epoch"],
            head_seq=value["head"],
            settled_seq=value["settled"],
            pruned_seq=value["pruned"],
        )
        identity = Identity(user_id="u", expires_at=value.get("expires_at"))
        answer = resume(self._hello, stream)
        if outdated:
            return self._session.outdated(answer)
        return self._session.opened(answer, stream, identity, now)


def _answer(
    session: Session, name: str, value: dict[str, Any], now: float
) -> Sequence[Action]:
    match name:
        case "page":
            entries = [_entry(one) for one in value["entries"]]
            return session.page(page(*entries, head=value["head"]), now)
        case "redelivered":
            return session.redelivered(_entry(value), value["attempt"], now)
        case _:
            end = value.get("expires_at")
            return session.renewed(Identity(user_id=value["user"], expires_at=end))


def _simple(
    session: Session, name: str, value: dict[str, Any], now: float
) -> Sequence[Action]:
    match name:
        case "advance":
            return session.advance(value["head"])
        case "tick":
            return session.tick(now)
        case "move":
            reason = MoveReason(value["reason"])
            session.move(
                now, after=value["after"], within=value["within"], reason=reason
            )
            return ()
        case "unread":
            session.unread()
            return ()
        case "failed":
            then = TryAgain(value["attempt"], value["delay"])
            session.failed(value["seq"], then, now)
            return ()
        case "settled":
            ranges = [(first, last) for first, last in value["seqs"]]
            outcome = Outcome(value["outcome"])
            return session.settled(ranges, outcome, value.get("by"))
        case _:
            raise AssertionError(name)


def _entry(value: dict[str, Any]) -> LogEntry:
    outcome = value.get("outcome")
    return entry(
        value["seq"],
        size=value.get("size", 2),
        outcome=None if outcome is None else Outcome(outcome),
        failures=value.get("failures", 0),
        overdue=value.get("overdue", False),
    )


def _plain(action: Action | dict[str, Any]) -> dict[str, Any]:
    match action:
        case dict():
            return action
        case Open():
            return {"do": "open"}
        case Send(frame):
            return {"do": "send", "frame": json.loads(frame)}
        case Cancel(run_id):
            return {"do": "cancel", "run": run_id}
        case _:
            fields = json.loads(json.dumps(asdict(action)))
            return {"do": type(action).__name__.lower(), **fields}
