"""Logs: one JSON object a line, whoever writes it."""

import json
import subprocess
import sys
from typing import Any

import pytest

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PROGRAM = """
import logging, structlog
from service.observe import logs
logs.configure(form={form!r}, level={level!r}, **{more!r})
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


def lines(
    *, form: str = "json", level: str = "info", program: str = PROGRAM, **more: object
) -> list[str]:
    """Log in a process of its own: the set-up is the whole process's."""
    done = subprocess.run(
        [sys.executable, "-c", program.format(form=form, level=level, more=more)],
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
    assert {"message": "it broke", "logger": "some.library"} == {
        key: library[key] for key in ("message", "logger")
    }
    assert "event" not in library


def test_a_message_is_for_people() -> None:
    """
    Cloud Logging shows `message`; `event` stays the name that programs look for.
    """
    opened = objects("info")[0]

    assert ("session opened", "session_opened") == (opened["message"], opened["event"])


def test_an_exception_stays_in_its_line() -> None:
    """
    A traceback is a field of its event, where Error Reporting looks for it.
    """
    failed = objects("info")[2]

    assert "ZeroDivisionError" in failed["stack_trace"]
    assert {"service": "event-service", "version": "local"} == failed["serviceContext"]


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


def test_lines_name_their_process() -> None:
    """
    Revision and instance are labels of every line, also of a library's.
    """
    labels = {"revision": "green", "instance": "host-w1"}
    found = [json.loads(line) for line in lines(labels=labels)]

    assert [labels] * 4 == [line["logging.googleapis.com/labels"] for line in found]


TRACED = f"""
import structlog
from service.observe import logs
from service.observe.traceparent import Traceparent, current
logs.configure(form={{form!r}}, level={{level!r}}, **{{more!r}})
log = structlog.get_logger()
log.info("outside")
log.info("about_an_event", trace="00-{TRACE}-{SPAN}-00")
current.set(Traceparent("{"7" * 32}", "{SPAN}", True))
log.info("in_a_request")
log.info("about_an_event", trace="00-{TRACE}-{SPAN}-01")
log.info("about_an_event", trace="garbled")
log.info("about_an_event", trace=None)
"""


def _place(line: dict[str, Any]) -> tuple[str | None, str | None, bool | None]:
    prefix = "logging.googleapis.com"
    return (
        line.get(f"{prefix}/trace"),
        line.get(f"{prefix}/spanId"),
        line.get(f"{prefix}/trace_sampled"),
    )


def test_lines_belong_to_the_trace_of_their_event_or_request() -> None:
    """
    An event's own trace comes before the request's; the project is named as Cloud
    Logging wants it.
    """
    found = [json.loads(line) for line in lines(program=TRACED, project="acme")]
    event, request = f"projects/acme/traces/{TRACE}", f"projects/acme/traces/{'7' * 32}"

    assert [
        (None, None, None),
        (event, SPAN, False),
        (request, SPAN, True),
        (event, SPAN, True),
        (request, SPAN, True),
        (request, SPAN, True),
    ] == [_place(line) for line in found]
    assert ["trace" in line for line in found] == [False] * 6


def test_without_a_project_the_trace_stands_alone() -> None:
    """
    The id alone still joins the lines of one trace.
    """
    found = [json.loads(line) for line in lines(program=TRACED)]

    assert TRACE == found[1]["logging.googleapis.com/trace"]


SECRETS = """
import logging, structlog
from service.observe import logs
logs.configure(form={form!r}, level={level!r})
log = structlog.get_logger()
log.info("request_failed", headers={{"Authorization": "Bearer hunter2-hunter2"}})
log.info("request_failed", ticket="hunter2", auth_token="hunter2", api_key="hunter2")
log.info("request_failed", nested=[{{"password": "hunter2"}}, ("ticket=hunter2",)])
log.info("request_failed", url="/v1/stream?ticket=hunter2&x=1#code=hunter2")
log.info("request_failed", database="postgresql://me:hunter2@host/db")
log.info("Bearer hunter2-hunter2")
logging.getLogger("lib").error("sent %s", "Authorization: Bearer hunter2-hunter2")
try:
    raise ValueError("eyJhbGciOiJIUzI1NiJ9.eyJodW50ZXIyIjoxfQ.hunter2")
except ValueError:
    log.exception("background_failed", error=ValueError("token=hunter2"))
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_credential_is_written(form: str) -> None:
    """
    The last line of defence: by the name of its field, or by its look.
    """
    text = "\n".join(lines(form=form, program=SECRETS))

    assert 8 <= text.count("[redacted]")
    assert [] == [line for line in text.splitlines() if "hunter2" in line]


def test_what_is_no_secret_is_written() -> None:
    """
    Close codes, error codes and counts of tokens stay.
    """
    program = """
import structlog
from service.observe import logs
logs.configure(form={form!r}, level={level!r})
structlog.get_logger().info("x", code=4001, reason="exit code=3", tokens=12, token=3)
"""
    line = json.loads(lines(program=program)[0])

    assert {"code": 4001, "reason": "exit code=3", "tokens": 12, "token": 3} == {
        key: line[key] for key in ("code", "reason", "tokens", "token")
    }


def test_people_get_text() -> None:
    """
    On a console events are plain lines, with the fields beside them.
    """
    (line,) = [one for one in lines(form="console") if "session_opened" in one]

    assert "ada" in line
    assert not line.startswith("{")
