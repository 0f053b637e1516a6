"""`ops status` against a real HTTP server on the loopback interface."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops.cli import main

_OK = {"status": "ok", "service": "event-service", "version": "1.2", "revision": "r-7"}


@dataclass
class Service:
    """What the server answers, and what it was asked."""

    status: int = 200
    body: bytes = json.dumps(_OK).encode()
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def service() -> Iterator[Service]:
    """A server that answers every GET with one prepared answer."""
    prepared = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            prepared.asked.append((self.path, self.headers["Authorization"]))
            self.send_response(prepared.status)
            self.end_headers()
            self.wfile.write(prepared.body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        prepared.url = f"http://127.0.0.1:{server.server_port}"
        yield prepared
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Ended:
    """How the command line ended."""

    returncode: int
    stdout: str
    stderr: str


_Status = Callable[..., Ended]


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> _Status:
    """`ops status` with these arguments."""

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as left:
            main(["status", *arguments])
        out, err = capsys.readouterr()
        return Ended(int(left.value.code or 0), out, err)

    return run


def test_runs_as_a_module(service: Service) -> None:
    """`python -m ops` is the command line, and hands over its exit code."""
    service.status = 503
    service.body = json.dumps({**_OK, "status": "unavailable"}).encode()

    ended = subprocess.run(
        [sys.executable, "-m", "ops", "status", "--json", "--url", service.url],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert 1 == ended.returncode
    assert "unavailable" == json.loads(ended.stdout)["status"]


def test_healthy_service_exits_0(status: _Status, service: Service) -> None:
    """A service that says ok is shown with version and revision; the exit code is 0."""
    ended = status("--url", f"{service.url}/")

    assert 0 == ended.returncode
    assert "1.2" in ended.stdout
    assert "r-7" in ended.stdout
    assert [("/health", None)] == service.asked


def test_unhealthy_service_exits_1(status: _Status, service: Service) -> None:
    """A 503 in the service's own words is an answer: shown, exit code 1."""
    service.status = 503
    service.body = json.dumps({**_OK, "status": "unavailable"}).encode()

    ended = status("--url", service.url)

    assert 1 == ended.returncode
    assert "unavailable" in ended.stdout


def test_token_tells_the_dependencies(
    status: _Status, service: Service, tmp_path: Path
) -> None:
    """With an operator's token each dependency is part of the answer."""
    token = tmp_path / "token"
    token.write_text("abc.def\n")
    database = {"status": "ok", "detail": "[red]18[/red]"}
    service.body = json.dumps({**_OK, "dependencies": {"database": database}}).encode()

    as_text = status("--url", service.url, "--token-file", str(token))
    as_json = status("--url", service.url, "--token-file", str(token), "--json")

    assert [("/health", "Bearer abc.def")] * 2 == service.asked
    assert "ok [red]18[/red]" in as_text.stdout
    assert {**_OK, "dependencies": [{"name": "database", **database}]} == json.loads(
        as_json.stdout
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"status": 1}', b"\xff"])
def test_something_else_exits_3(status: _Status, service: Service, body: bytes) -> None:
    """What does not answer as the service does is not the service."""
    service.body = body

    ended = status("--url", service.url)

    assert (3, "") == (ended.returncode, ended.stdout)
    assert "not as this service does" in ended.stderr


def test_nobody_there_exits_3(status: _Status) -> None:
    """A port where nothing listens is reported with the address that was asked."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port

    ended = status("--url", f"http://127.0.0.1:{port}")

    assert (3, "") == (ended.returncode, ended.stdout)
    assert f"http://127.0.0.1:{port}/health" in ended.stderr


def test_silent_server_is_given_up(status: _Status) -> None:
    """A server that accepts and never answers costs the timeout, then exit code 3."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:
        url = f"http://127.0.0.1:{silent.server_port}"

        ended = status("--url", url, "--timeout", "0.2")

    assert (3, "") == (ended.returncode, ended.stdout)


@pytest.mark.parametrize("code", [401, 403])
def test_refused_token_is_a_usage_error(
    status: _Status, service: Service, code: int
) -> None:
    """A token that the service refuses is the caller's mistake."""
    service.status = code

    assert 2 == status("--url", service.url).returncode


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--url", "example"),
        ("--url", "ftp://example"),
        ("--url", "http://"),
        ("--url", "http://[::1"),
        ("--url", "http://user:secret@127.0.0.1:1"),
        ("--url", "http://127.0.0.1:1", "--token-file", "/nowhere"),
        ("--url", "http://127.0.0.1:1", "--timeout", "0"),
    ],
)
def test_bad_arguments_exit_2(status: _Status, arguments: tuple[str, ...]) -> None:
    """An argument that breaks a rule is refused before anything is asked."""
    ended = status(*arguments)

    assert 2 == ended.returncode
    assert ended.stderr
    assert "secret" not in ended.stderr
