"""Google Cloud Storage's JSON API on the loopback interface, as far as leases need it.

Generations and preconditions are the point: 412 when an object is not as the caller
read it. Its clock may run ahead of ours, for only the store's own time counts.
"""

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.parser import BytesParser
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c


@dataclass(frozen=True)
class StoredObject:
    """One object's content and what the API tells about it."""

    data: bytes
    generation: int
    updated: datetime


@dataclass
class Bucket:
    """What the store holds, and how it behaves. Change it while it runs."""

    name: str = "state"
    endpoint: str = ""
    objects: dict[str, StoredObject] = field(default_factory=dict)
    ahead: timedelta = timedelta()
    # Taken one by one: the next request gets this status, and
    # "lost" does what was asked before it fails.
    faults: deque[int | str] = field(default_factory=deque)
    away: bool = False
    asked: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    generation: int = 1_700_000_000_000_000

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC) + self.ahead

    def put(self, name: str, data: bytes) -> StoredObject:
        """Replace an object behind everybody's back, or for a caller."""
        with self.lock:
            self.generation += 1
            stored = StoredObject(
                data=data, generation=self.generation, updated=self.now()
            )
            self.objects[name] = stored
            return stored


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve(self._get)

    def do_POST(self) -> None:
        self._serve(self._post)

    def do_DELETE(self) -> None:
        self._serve(self._delete)

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the store's own time, which is what `Date` says."""
        return format_datetime(self.bucket.now(), usegmt=True)

    def _serve(self, answer: Callable[[], None]) -> None:
        bucket = self.bucket
        self.body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        parts = urlsplit(self.path)
        self.query = {key: one[0] for key, one in parse_qs(parts.query).items()}
        self.where = parts.path
        self.is_lost = False
        if parts.path.endswith(f"/b/{bucket.name}"):
            # The library asks in the background, for its own traces.
            self._send(200, json.dumps({"name": bucket.name}).encode())
            return
        bucket.asked.append(f"{self.command} {parts.path}")
        fault = bucket.faults.popleft() if bucket.faults else None
        if bucket.away or (isinstance(fault, int)):
            self._fail(503 if bucket.away else cast(int, fault))
            return
        self.is_lost = fault == "lost"
        with bucket.lock:
            answer()

    def _get(self) -> None:
        found = self._found(self.where.rpartition("/o/")[2])
        if found is None:
            self._fail(404)
        elif not self._matches(found):
            self._fail(412)
        elif self.query.get("alt") == "media":
            self._send(200, found.data, found)
        else:
            self._send(200, self._described(found))

    def _post(self) -> None:
        """Take a multipart upload: a description, then the content."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = cast(
            list[Message], BytesParser().parsebytes(head + self.body).get_payload()
        )
        name = json.loads(cast(bytes, parts[0].get_payload(decode=True)))["name"]
        data = cast(bytes, parts[1].get_payload(decode=True))
        if not self._matches(self._found(name)):
            self._fail(412)
            return
        self.where = f"/b/{self.bucket.name}/o/{name}"
        self._send(200, self._described(self.bucket.put(name, data)))

    def _delete(self) -> None:
        name = unquote(self.where.rpartition("/o/")[2])
        found = self._found(name)
        if found is None:
            self._fail(404)
        elif not self._matches(found):
            self._fail(412)
        else:
            del self.bucket.objects[name]
            self._send(204, b"")

    def _found(self, name: str) -> StoredObject | None:
        return self.bucket.objects.get(unquote(name))

    def _matches(self, found: StoredObject | None) -> bool:
        wanted = self.query.get("ifGenerationMatch")
        return wanted is None or int(wanted) == (found.generation if found else 0)

    def _described(self, found: StoredObject) -> bytes:
        name = unquote(self.where.rpartition("/o/")[2])
        updated = found.updated.isoformat(timespec="milliseconds")
        body = {
            "kind": "storage#object",
            "bucket": self.bucket.name,
            "name": name,
            "generation": str(found.generation),
            "metageneration": "1",
            "size": str(len(found.data)),
            "updated": updated.replace("+00:00", "Z"),
            "crc32c": _checksum(found.data),
        }
        return json.dumps(body).encode()

    def _send(
        self, status: int, body: bytes, found: StoredObject | None = None
    ) -> None:
        if self.is_lost:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        if found is not None:
            self.send_header("X-Goog-Generation", str(found.generation))
            self.send_header("X-Goog-Hash", f"crc32c={_checksum(found.data)}")
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, status: int) -> None:
        self.is_lost = False
        error = {"code": status, "message": f"a staged or a true {status}"}
        self._send(status, json.dumps({"error": error}).encode())


def _checksum(data: bytes) -> str:
    checksum = google_crc32c.value(data)
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: clients are killed in the middle of a call."""


@contextmanager
def object_store() -> Iterator[Bucket]:
    """Serve one empty bucket until left, at `endpoint`."""
    bucket = Bucket()
    handler = type("Handler", (_Handler,), {"bucket": bucket})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        bucket.endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield bucket
        finally:
            server.shutdown()
            thread.join()
