"""A client of the stream that says exactly what a test tells it to, over real HTTP."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx

from service.contract import Path
from tests.fakes.deadline import deadline

Frame: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message of a stream; `kind` "" is a comment."""

    kind: str
    id: str | None
    frame: Frame


class SseClient:
    """One stream. It reads only when a test asks it to; `said` is all that came."""

    def __init__(self, response: httpx.Response, http: httpx.AsyncClient) -> None:
        self.response = response
        self.said: list[Said] = []
        self.welcome: Frame = {}
        self._http = http
        self._messages = _messages(response)

    async def next(self, *kinds: str, within_seconds: float = 10.0) -> Frame:
        """Return the frame of the next message of these kinds; others are read over.

        Raises:
            TimeoutError: none came in time.
            EOFError: the stream ended before.
        """
        async with deadline(within_seconds, f"a message of {kinds}"):
            while True:
                said = await self._read()
                if said.kind in kinds:
                    return said.frame

    async def events(self, count: int, *, within_seconds: float = 20.0) -> list[Frame]:
        """Return the next events."""
        return [
            await self.next("ev", within_seconds=within_seconds) for _ in range(count)
        ]

    async def closed(self, *, within_seconds: float = 10.0) -> int:
        """Read to the close and to the end of the answer; return the code."""
        frame = await self.next("close", within_seconds=within_seconds)
        async with deadline(within_seconds, "the end of the answer"):
            while True:
                try:
                    await self._read()
                except EOFError:
                    return int(frame["code"])

    async def post(self, *frames: Mapping[str, object], **keys: object) -> int:
        """Post frames for this session; return the HTTP status."""
        return (await self.answer(*frames, **keys)).status_code

    async def answer(
        self, *frames: Mapping[str, object], **keys: object
    ) -> httpx.Response:
        """Post frames for this session; return the whole answer."""
        body = {
            "conn": self.welcome["conn"],
            "device": "sse",
            "epoch": self.welcome["epoch"],
            "frames": list(frames),
        }
        return await self._http.post(Path.ACKS, json=body | keys)

    async def _read(self) -> Said:
        try:
            said = await anext(self._messages)
        except StopAsyncIteration:
            raise EOFError("the stream ended") from None
        self.said.append(said)
        return said


@asynccontextmanager
async def sse_client(
    http: httpx.AsyncClient, *, last_event_id: str | None = None, **query: object
) -> AsyncIterator[SseClient]:
    """Open a stream as the user of an HTTP client, and read its welcome."""
    params = {"device": "sse"} | {key: str(value) for key, value in query.items()}
    if "hello" in query:
        del params["device"]
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    async with http.stream("GET", Path.STREAM, params=params, headers=headers) as got:
        if got.is_error:
            await got.aread()
            raise AssertionError(f"{got.status_code}: {got.text}")
        client = SseClient(got, http)
        client.welcome = await client.next("welcome")
        yield client


async def _messages(response: httpx.Response) -> AsyncIterator[Said]:
    # Not by `aiter_lines`, for which U+2028 is a line break; for a browser it is none.
    text = b""
    async for piece in response.aiter_bytes():
        *messages, text = (text + piece).split(b"\n\n")
        for message in messages:
            said = _message(message.decode())
            if said is not None:
                yield said


def _message(text: str) -> Said | None:
    kind, place, data = "", None, list[str]()
    for line in text.split("\n"):
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "id":
            place = value
        elif name == "data":
            data.append(value)
        elif name == "retry":
            return None
        elif line != ":":
            raise AssertionError(f"no such line: {line!r}")
    return Said(kind=kind, id=place, frame=json.loads("\n".join(data) or "{}"))
