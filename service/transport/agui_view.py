"""One run as AG-UI events: the order and the pairs that its clients insist on.

=================  ==============================================================
our event          AG-UI 1.0 events
=================  ==============================================================
`agent_started`    RUN_STARTED (also made up if the run's beginning is gone)
`agent_thinking`   REASONING_START, _MESSAGE_START, _MESSAGE_CONTENT, _MESSAGE_END,
                   REASONING_END
`tool_executing`   TOOL_CALL_START, TOOL_CALL_ARGS, TOOL_CALL_END
`tool_completed`   TOOL_CALL_RESULT
`token_delta`      TEXT_MESSAGE_START, _CONTENT …, up to the first that is missing
`progress`         ACTIVITY_SNAPSHOT `progress`, which replaces the one before
`agent_completed`  the result as a text message, if it is text that was not streamed
                   whole; RUN_FINISHED
`agent_error`      RUN_ERROR
any other          CUSTOM
=================  ==============================================================

Source: the schemas of @ag-ui/core 1.0.0 and the checks of @ag-ui/client 1.0.0.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from service.core.event import Event, EventType, StoredEvent

PROTOCOL_VERSION = "1.0"

AgUiEvent = dict[str, object]


class RunView:
    """Turns the events of one run into AG-UI events; each event counts once.

    Args:
        thread_id: As the client asked for it.
        run_id: The run.
    """

    def __init__(self, *, thread_id: str, run_id: str) -> None:
        self.over = False  # nothing may follow
        self._thread_id = thread_id
        self._run_id = run_id
        self._started = False
        self._seen: set[str] = set()
        self._text_id = f"{run_id}-text"
        self._streamed: list[str] = []  # pieces of text passed on, without a hole
        self._streaming = False
        self._makers: Mapping[str, Callable[[str, dict[str, object]], list[AgUiEvent]]]
        self._makers = {
            EventType.AGENT_STARTED: self._nothing,
            EventType.AGENT_THINKING: self._reasoning,
            EventType.TOOL_EXECUTING: self._tool_call,
            EventType.TOOL_COMPLETED: self._tool_result,
            EventType.PROGRESS: self._progress,
            EventType.AGENT_COMPLETED: self._finished,
            EventType.AGENT_ERROR: self._failed,
        }

    def event(self, event: StoredEvent) -> Sequence[AgUiEvent]:
        """Return what a stored event becomes; nothing for one that came before."""
        if self.over or event.event_id in self._seen:
            return ()
        self._seen.add(event.event_id)
        data = msgspec.json.decode(event.data)
        make = self._makers.get(event.type)
        made = self._begin()
        if make is None or not isinstance(data, dict):
            made.append({"type": "CUSTOM", "name": event.type, "value": data})
        else:
            made += make(event.event_id, data)
        return [{**one, "timestamp": int(event.accepted_at * 1000)} for one in made]

    def ephemeral(self, event: Event) -> Sequence[AgUiEvent]:
        """Return what an ephemeral event becomes; pieces of text in order, or none."""
        if self.over or event.type != EventType.TOKEN_DELTA:
            return ()
        data = msgspec.json.decode(event.data)
        text = data.get("text") if isinstance(data, dict) else None
        in_order = isinstance(data, dict) and data.get("index") == len(self._streamed)
        if not isinstance(text, str) or not text or not in_order:
            return ()
        made = self._begin()
        if not self._streaming:
            self._streaming = True
            made.append(self._text("START", role="assistant"))
        self._streamed.append(text)
        return [*made, self._text("CONTENT", delta=text)]

    def unknown(self) -> Sequence[AgUiEvent]:
        """Return the end of a run that nobody has heard of."""
        self.over = True
        message = f"run {self._run_id} has no events"
        return [{"type": "RUN_ERROR", "message": message, "code": "unknown_run"}]

    @property
    def begun(self) -> bool:
        """Whether anything of the run was seen."""
        return self._started

    def _begin(self) -> list[AgUiEvent]:
        if self._started:
            return []
        self._started = True
        return [
            {
                "type": "RUN_STARTED",
                "threadId": self._thread_id,
                "runId": self._run_id,
                "protocolVersion": PROTOCOL_VERSION,
            }
        ]

    def _nothing(self, _id: str, _data: dict[str, object]) -> list[AgUiEvent]:
        return []

    def _reasoning(self, event_id: str, data: dict[str, object]) -> list[AgUiEvent]:
        return [
            {"type": "REASONING_START", "messageId": event_id},
            {
                "type": "REASONING_MESSAGE_START",
                "messageId": event_id,
                "role": "reasoning",
            },
            {
                "type": "REASONING_MESSAGE_CONTENT",
                "messageId": event_id,
                "delta": _as_text(data.get("text")),
            },
            {"type": "REASONING_MESSAGE_END", "messageId": event_id},
            {"type": "REASONING_END", "messageId": event_id},
        ]

    def _tool_call(self, event_id: str, data: dict[str, object]) -> list[AgUiEvent]:
        call = {"toolCallId": _as_text(data.get("call_id")) or event_id}
        name = _as_text(data.get("tool")) or "tool"
        arguments = msgspec.json.encode(data.get("arguments")).decode()
        return [
            {"type": "TOOL_CALL_START", **call, "toolCallName": name},
            {"type": "TOOL_CALL_ARGS", **call, "delta": arguments},
            {"type": "TOOL_CALL_END", **call},
        ]

    def _tool_result(self, event_id: str, data: dict[str, object]) -> list[AgUiEvent]:
        key = "error" if "error" in data else "result"
        return [
            {
                "type": "TOOL_CALL_RESULT",
                "messageId": event_id,
                "toolCallId": _as_text(data.get("call_id")) or event_id,
                "content": _as_text(data.get(key)),
                "role": "tool",
            }
        ]

    def _progress(self, _id: str, data: dict[str, object]) -> list[AgUiEvent]:
        return [
            {
                "type": "ACTIVITY_SNAPSHOT",
                "messageId": f"{self._run_id}-progress",
                "activityType": "progress",
                "content": data,
                "replace": True,
            }
        ]

    def _finished(self, event_id: str, data: dict[str, object]) -> list[AgUiEvent]:
        made = self._end_text()
        result = data.get("result")
        if isinstance(result, str) and result and result != "".join(self._streamed):
            self._text_id = event_id
            made += [
                self._text("START", role="assistant"),
                self._text("CONTENT", delta=result),
                self._text("END"),
            ]
        self.over = True
        finished: AgUiEvent = {
            "type": "RUN_FINISHED",
            "threadId": self._thread_id,
            "runId": self._run_id,
            "outcome": {"type": "success"},
        }
        return [*made, {**finished, "result": result}]

    def _failed(self, _id: str, data: dict[str, object]) -> list[AgUiEvent]:
        self.over = True
        error: AgUiEvent = {
            "type": "RUN_ERROR",
            "message": _as_text(data.get("message")) or "the run failed",
            "code": _as_text(data.get("kind")) or "failed",
        }
        return [*self._end_text(), error]

    def _end_text(self) -> list[AgUiEvent]:
        if not self._streaming:
            return []
        self._streaming = False
        return [self._text("END")]

    def _text(self, part: str, **fields: object) -> AgUiEvent:
        return {"type": f"TEXT_MESSAGE_{part}", "messageId": self._text_id, **fields}


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
