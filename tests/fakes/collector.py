"""A collector of OpenTelemetry spans: OTLP over HTTP, kept in memory."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What was exported so far. Made by `collector`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.paths: set[str] = set()
        self._spans: list[Span] = []
        self._resources: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def take(self, path: str, request: ExportTraceServiceRequest) -> None:
        """Keep one export."""
        with self._lock:
            self.paths.add(path)
            for group in request.resource_spans:
                named = {a.key: a.value.string_value for a in group.resource.attributes}
                self._resources.append(named)
                for scope in group.scope_spans:
                    self._spans += scope.spans

    def spans(self, trace_id: str) -> list[Span]:
        """Return the spans of a trace."""
        with self._lock:
            return [one for one in self._spans if one.trace_id.hex() == trace_id]

    @property
    def resources(self) -> list[dict[str, str]]:
        """Who exported."""
        with self._lock:
            return list(self._resources)


def attributes(span: Span) -> dict[str, str | int]:
    """Return a span's attributes."""
    return {
        one.key: one.value.int_value
        if one.value.HasField("int_value")
        else one.value.string_value
        for one in span.attributes
    }


@contextmanager
def collector() -> Iterator[Collector]:
    """Listen on a free port of this machine until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found.take(self.path, ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
