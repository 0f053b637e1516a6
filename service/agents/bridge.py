"""What an agent says to its user, as typed calls.

Each call publishes one event; its `data` has this shape (`?`: may be missing)::

    agent_started    {agent, request?}
    agent_thinking   {text, step?}
    tool_executing   {call_id, tool, arguments}
    tool_completed   {call_id, tool, ok, duration_seconds, result}, or instead of
                     the result: error {kind, message}
    agent_completed  {result?, duration_seconds?}
    agent_error      {kind, message, duration_seconds?}
    progress         {done, total?, text?}
    token_delta      {text, index}                      ephemeral: at most once
    events_dropped   {count}                            the buffer was full

Large values are cut visibly, secrets redacted (`service.agents.plain`).
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from service.agents.cancels import CancelSource, until_cancelled
from service.agents.courier import Courier, DeliveryProblem
from service.agents.current_trace import current_traceparent
from service.agents.outbox import Outbox
from service.agents.plain import Json, to_json
from service.agents.publisher import Publisher, new_event_id
from service.core.draft import Draft, new_event
from service.core.event import EventType, Priority
from service.errors import ServiceError
from service.observe.redaction import redact_text

_MESSAGE_CHARS = 2_000
_PARTING_TIME = timedelta(seconds=5)


class RunCancelledError(ServiceError):
    """The user asked to stop the run; the agent's work was cancelled."""

    code = "run_cancelled"
    title = "Cancelled by the user"
    status = 409


@dataclass(kw_only=True)
class Run:
    """One run of an agent. The agent puts its result here before it leaves."""

    result: object = None


class AgentWebSocketBridge:
    """The way from one run of an agent to its user.

    A delivery problem never raises into the agent: it is logged, kept in `problems`,
    and the event stays in a bounded buffer, in order, until it is accepted. When the
    buffer is full the least important event goes (ephemerals, then normal ones; of
    equals the newest; the run's end last), which the user is told afterwards.
    Without `run`, what is left over goes with the next call or `flush`; inside `run`
    also in the background.

    Args:
        publisher: Where events go: the tracker, or an `HttpPublisher`.
        cancels: Says when the user wants the run to end; by default the publisher,
            if it knows (an `HttpPublisher` does).
        user_id: The receiver.
        run_id: This run; every event carries it.
        thread_id: The conversation that the run belongs to.
        patience: The longest that one call waits for its event to be accepted.
        parting_time: The longest that `run` waits at its end for what is left over.
        outbox: The buffer; by default 2,000 events and 16 MiB.
        u: Evenly distributed numbers in [0, 1), for the backoff.

    Raises:
        InvalidRequestError: user_id, run_id or thread_id breaks a rule.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        user_id: str,
        run_id: str,
        thread_id: str | None = None,
        cancels: CancelSource | None = None,
        patience: timedelta = timedelta(seconds=1),
        parting_time: timedelta = _PARTING_TIME,
        outbox: Outbox | None = None,
        u: Callable[[], float] = random.random,
    ) -> None:
        self._draft = Draft(
            user_id=user_id,
            run_id=run_id,
            thread_id=thread_id,
            type=EventType.AGENT_STARTED,
        )
        new_event(self._draft, event_id=new_event_id())  # a bad name fails here, once
        # An empty outbox is falsy.
        outbox = Outbox() if outbox is None else outbox
        self._courier = Courier(publisher, outbox=outbox, patience=patience, u=u)
        if cancels is None and isinstance(publisher, CancelSource):
            cancels = publisher
        self._cancels = cancels
        self._u = u
        self._parting_time = parting_time
        self._tokens = 0
        self._leash: asyncio.Timeout | None = None
        self._stop_asked = False

    @property
    def user_id(self) -> str:
        """The receiver."""
        return self._draft.user_id

    @property
    def run_id(self) -> str:
        """The run that every event carries."""
        return self._draft.run_id or ""

    @property
    def problems(self) -> Sequence[DeliveryProblem]:
        """The last thousand delivery problems, oldest first."""
        return self._courier.problems

    @property
    def problem_count(self) -> int:
        """How many delivery problems there were in all."""
        return self._courier.problem_count

    @property
    def waiting(self) -> int:
        """How many events are not accepted yet."""
        return self._courier.waiting

    async def agent_started(self, *, agent: str, request: object = None) -> str:
        """Say that the agent began, and with what request; return the event's id."""
        data = _present(agent=agent, request=request)
        return await self._publish(EventType.AGENT_STARTED, data)

    async def agent_thinking(self, text: str, *, step: int | None = None) -> str:
        """Say what the agent makes of what it found."""
        data = _present(text=text, step=step)
        return await self._publish(EventType.AGENT_THINKING, data)

    async def tool_executing(
        self, *, tool: str, call_id: str, arguments: object
    ) -> str:
        """Say that a tool is about to run."""
        data = {"call_id": call_id, "tool": tool, "arguments": arguments}
        return await self._publish(EventType.TOOL_EXECUTING, data)

    async def tool_completed(
        self,
        *,
        tool: str,
        call_id: str,
        ok: bool,
        duration_seconds: float,
        result: object = None,
        error_kind: str | None = None,
        error_message: str = "",
    ) -> str:
        """Say how a tool ended: with a result, or with an error."""
        data: dict[str, object] = {"call_id": call_id, "tool": tool, "ok": ok}
        data["duration_seconds"] = round(duration_seconds, 6)
        if ok:
            data["result"] = result
        else:
            message = _message(error_message)
            data["error"] = {"kind": error_kind or "failed", "message": message}
        return await self._publish(EventType.TOOL_COMPLETED, data)

    async def agent_completed(
        self, result: object = None, *, duration_seconds: float | None = None
    ) -> str:
        """Say that the agent finished, and with what."""
        data = _present(result=result, duration_seconds=duration_seconds)
        return await self._publish(EventType.AGENT_COMPLETED, data)

    async def agent_error(
        self, *, kind: str, message: str, duration_seconds: float | None = None
    ) -> str:
        """Say that the agent ended without a result, and why."""
        data = _present(
            kind=kind, message=_message(message), duration_seconds=duration_seconds
        )
        return await self._publish(EventType.AGENT_ERROR, data)

    async def progress(
        self, done: float, *, total: float | None = None, text: str | None = None
    ) -> str:
        """Say how far the agent is."""
        data = _present(done=done, total=total, text=text)
        return await self._publish(EventType.PROGRESS, data)

    async def token_delta(self, text: str) -> str:
        """Pass on a piece of text: at most once, never stored, dropped first."""
        data = {"text": text, "index": self._tokens}
        self._tokens += 1
        return await self._publish(EventType.TOKEN_DELTA, data)

    async def custom(
        self, event_type: str, data: object, *, priority: Priority | None = None
    ) -> str:
        """Publish an event of the agent's own type."""
        return await self._publish(event_type, data, priority=priority)

    async def flush(self, within: timedelta = _PARTING_TIME) -> bool:
        """Try until every event is accepted; return whether all are."""
        return await self._courier.flush(within)

    def cancel(self) -> bool:
        """Stop the run because its user asked to; return whether one was running.

        To be called in the event loop of the run. `run` does it by itself when the
        user's wish is heard of.
        """
        if self._leash is None or self._leash.expired():
            return False
        self._leash.reschedule(asyncio.get_running_loop().time())
        return True

    @asynccontextmanager
    async def run(self, *, agent: str, request: object = None) -> AsyncIterator[Run]:
        """Publish `agent_started`, and at the end `agent_completed` or `agent_error`.

        The end is published also when the agent raises or is cancelled; the exception
        goes on to the caller. Leaving waits for events that are not accepted, at most
        `parting_time`. Only the user's wish stops a run, never a lost connection.

        Raises:
            RunCancelledError: the user stopped the run (`cancel`).
        """
        run = Run()
        began = asyncio.get_running_loop().time()
        failure: BaseException | None = None
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(self._courier.work())
            watch = group.create_task(self._watch())
            try:
                await self.agent_started(agent=agent, request=request)
                try:
                    async with self._leashed():
                        yield run
                except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 -- raised again below
                    failure = exc
                await self._say_end(run, failure, began=began)
            finally:
                watch.cancel()
                worker.cancel()
        # Raised out here: the group would wrap it in an exception group.
        if failure is not None:
            raise failure

    @asynccontextmanager
    async def _leashed(self) -> AsyncIterator[None]:
        leash = asyncio.timeout(None)
        try:
            async with leash:
                self._leash = leash
                if self._stop_asked:
                    self.cancel()
                yield
        except TimeoutError:
            if not leash.expired():
                raise
            raise RunCancelledError("the user stopped the run") from None
        finally:
            self._leash = None

    async def _watch(self) -> None:
        if self._cancels is None:
            return
        await until_cancelled(self._cancels, self.user_id, self.run_id, u=self._u)
        self._stop_asked = True
        self.cancel()

    async def _say_end(
        self, run: Run, failure: BaseException | None, *, began: float
    ) -> None:
        seconds = round(asyncio.get_running_loop().time() - began, 6)
        if failure is None:
            await self.agent_completed(run.result, duration_seconds=seconds)
        else:
            kind, message = _described(failure)
            await self.agent_error(kind=kind, message=message, duration_seconds=seconds)
        if self.waiting and not await self.flush(self._parting_time):
            self._courier.note_left(self._draft)

    async def _publish(
        self, event_type: str, data: object, *, priority: Priority | None = None
    ) -> str:
        event_id = new_event_id()
        draft = Draft(
            user_id=self._draft.user_id,
            run_id=self._draft.run_id,
            thread_id=self._draft.thread_id,
            type=event_type,
            event_id=event_id,
            priority=priority,
            trace=current_traceparent(),
        )
        await self._courier.hand_over(draft, to_json(data))
        return event_id


def _present(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _message(text: str) -> Json:
    return to_json(redact_text(text), max_string_chars=_MESSAGE_CHARS)


def _described(failure: BaseException) -> tuple[str, str]:
    if isinstance(failure, RunCancelledError):
        return "cancelled", failure.message
    if isinstance(failure, asyncio.CancelledError):
        return "cancelled", "the agent was cancelled"
    return type(failure).__name__, str(to_json(failure))
