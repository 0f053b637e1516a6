"""Logs: one JSON object a line, whoever writes it."""

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import logging, structlog
from service.observe import logs
logs.configure(form={form!r}, level={level!r})
log = structlog.get_logger()
log.debug("a_detail")
log.info("session_opened", user_id="ada", seq=3)
log.warning("event_dead")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("background_failed")
logging.getLogger("some.library").error("it %s", "broke")
logging.getLogger("uvicorn.access").info("GET /")
"""


def lines(*, form: str = "json", level: str = "info") -> list[str]:
    """Log in a process of its own: the set-up is the whole process's."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form, level=level)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "" == done.stdout
    return done.stderr.splitlines()


def objects(level: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(level=level)]


def test_each_line_is_an_object() -> None:
    """
    Events carry name, time, severity and their fields; libraries' records look alike.
    """
    opened, dead, failed, library = objects("info")

    assert {"event": "session_opened", "user_id": "ada", "seq": 3} == {
        key: opened[key] for key in ("event", "user_id", "seq")
    }
    assert ["INFO", "WARNING", "ERROR", "ERROR"] == [
        one["severity"] for one in (opened, dead, failed, library)
    ]
    assert all(one["time"].endswith("Z") for one in (opened, dead, failed, library))
    assert "it broke" == library["event"]


def test_an_exception_stays_in_its_line() -> None:
    """
    A traceback is a field of its event.
    """
    failed = objects("info")[2]

    assert "ZeroDivisionError" in failed["exception"]


@pytest.mark.parametrize(
    ("level", "first"),
    [("debug", "a_detail"), ("warning", "event_dead"), ("error", "background_failed")],
)
def test_the_level_holds(level: str, first: str) -> None:
    """
    What is less severe is not written.
    """
    assert first == objects(level)[0]["event"]


def test_requests_are_not_logged_one_by_one() -> None:
    """
    Access logs stay quiet at any level.
    """
    assert [] == [one for one in lines(level="debug") if "GET /" in one]


def test_people_get_text() -> None:
    """
    On a console events are plain lines, with the fields beside them.
    """
    (line,) = [one for one in lines(form="console") if "session_opened" in one]

    assert "ada" in line
    assert not line.startswith("{")
