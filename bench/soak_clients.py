"""Clients that come, go, crash and come back: `python -m bench.soak_clients`.

Takes an `Order`, then a line when the soak is over (everybody returns, and somebody
listens for every user), then the `Heads` that every device must reach.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal

import msgspec

from bench.soak_device import Record
from bench.soak_orders import ClientReport, Heads, Order, Place
from bench.soak_plan import Leaving, Turn, turns
from service.client import Client, EventFrame, connect

_SLOW_SHARE = 0.05
_SLOW_SECONDS = 0.02
_CALM_SECONDS = 20.0  # in which a device on a good way reaches the head by itself
_REACH_SECONDS = 60.0
_RELOAD_SECONDS = 8.0
_AGAIN_SECONDS = 0.5
_LOOK_SECONDS = 0.1
_SWEEPERS = 1_000_000  # their places are numbered from here


class _CrashError(Exception):
    """The program ends in the middle of everything."""


class Seat:
    """One place among the sessions, over all who sit there."""

    def __init__(self, house: "House", place: Place) -> None:
        self.place = place
        self._house = house
        self._chance = random.Random(f"{house.order.seed}/{place.number}")  # noqa: S311 -- repeatable on purpose
        self._generation = 0
        self._again = asyncio.Event()
        self.record = self._new_record()

    @property
    def way(self) -> str:
        """How frames come here."""
        return "rough" if self.place.rough else "calm"

    def reload(self) -> None:
        """Connect anew, with the cursor."""
        self._again.set()

    async def run(self, plan: Sequence[Turn]) -> None:
        """Live by the plan, then on until the end."""
        for turn in plan:
            until = self._house.began + turn.at
            await self._live_until(until, crashes=turn.leaving is Leaving.CRASH)
            if self._house.over.is_set():
                break
            await self._leave(turn)
        while not self._house.ended.is_set():
            await self._live(until=None, crashes=False)

    async def _live_until(self, until: float, *, crashes: bool) -> None:
        """Be there until a time, also after clients that stopped by themselves."""
        while time.monotonic() < until and not self._house.over.is_set():
            await self._live(until=until, crashes=crashes)

    async def _leave(self, turn: Turn) -> None:
        self._house.leavings[turn.leaving] += 1
        match turn.leaving:
            case Leaving.AWAY:
                with suppress(TimeoutError):
                    async with asyncio.timeout(turn.away):
                        await self._house.over.wait()
            case Leaving.GONE:
                self.record = self._new_record()
            case Leaving.FORGET:
                self.record = self._new_record(self.record.device_id)
            case Leaving.RELOAD | Leaving.CRASH:
                pass  # back at once

    async def _live(self, *, until: float | None, crashes: bool) -> None:
        """Be connected until a time, the end, a stop or a reload."""
        self._house.lives += 1
        self._again.clear()
        stopped = 0
        with suppress(_CrashError):
            async with self._connected(self.record) as client:
                stopped = await self._until(client, until)
                if crashes and not stopped:
                    raise _CrashError
        if stopped:
            self._house.stops[f"{self.way} {stopped}"] += 1
            await asyncio.sleep(_AGAIN_SECONDS)

    def _connected(self, record: Record) -> Client:
        async def handle(event: EventFrame) -> None:
            record.given(event)
            if self._chance.random() < _SLOW_SHARE:
                await asyncio.sleep(_SLOW_SECONDS)
            record.done(event)

        return connect(
            self.place.url,
            handler=handle,
            on_gap=record.gap,
            on_settled=record.settled,
            token=self._house.order.tokens[record.user_id],
            device=record.device_id,
            cursor_store=record.store,
        )

    async def _until(self, client: Client, until: float | None) -> int:
        """Return the close code if the client stopped by itself, else 0."""
        async with asyncio.TaskGroup() as tasks:
            stopping = tasks.create_task(client.wait_stopped())
            others = [
                tasks.create_task(self._again.wait()),
                tasks.create_task(self._house.ended.wait()),
            ]
            if until is not None:
                wait = max(0.0, until - time.monotonic())
                others.append(tasks.create_task(_true_after(wait)))
                others.append(tasks.create_task(self._house.over.wait()))
            every = [stopping, *others]
            await asyncio.wait(every, return_when=asyncio.FIRST_COMPLETED)
            code = stopping.result().code if stopping.done() else 0
            for task in every:
                task.cancel()
        return code

    def _new_record(self, device_id: str | None = None) -> Record:
        self._generation += 1
        name = device_id or f"d{self.place.number}-{self._generation}"
        record = Record(self.place.user_id, name)
        self._house.records.append(record)
        return record


class House:
    """All places of this process."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.began = time.monotonic()
        self.over = asyncio.Event()  # no more churn
        self.ended = asyncio.Event()
        self.records: list[Record] = []
        self.lives = 0
        self.stops: Counter[str] = Counter()
        self.leavings: Counter[str] = Counter()
        self._violations: list[str] = []

    async def run(self) -> ClientReport:
        """Do what was ordered."""
        async with asyncio.TaskGroup() as tasks:
            seats = [Seat(self, place) for place in self.order.places]
            for seat in seats:
                tasks.create_task(seat.run(self._plan(seat.place)))
            await _next_line()
            self.over.set()
            sweepers = [Seat(self, place) for place in self._sweeping()]
            for seat in sweepers:
                tasks.create_task(seat.run(()))
            heads = msgspec.json.decode(await _next_line(), type=Heads).heads
            await self._reach([*seats, *sweepers], heads)
            self.ended.set()
        return self._report()

    def _plan(self, place: Place) -> Sequence[Turn]:
        order = self.order
        return turns(seed=order.seed, place=place.number, seconds=order.seconds)

    def _sweeping(self) -> Sequence[Place]:
        url = self.order.sweeper_url
        return [
            Place(number=_SWEEPERS + index, user_id=user_id, url=url, rough=False)
            for index, user_id in enumerate(self.order.sweeps)
        ]

    async def _reach(self, seats: Sequence[Seat], heads: Mapping[str, int]) -> None:
        """Wait until every device is at its head; reload those of the rough way.

        The injector drops single frames, which no network does: when the last one of
        a stream is gone, it is found only at the next connection.
        """
        started = reloaded = time.monotonic()
        while behind := [seat for seat in seats if _is_behind(seat, heads)]:
            now = time.monotonic()
            if now - started > _REACH_SECONDS:
                break
            if now - reloaded > _RELOAD_SECONDS:
                reloaded = now
                for seat in behind:
                    if seat.place.rough:
                        seat.reload()
            if now - started > _CALM_SECONDS and not any(
                seat.place.rough for seat in behind
            ):
                break
            await asyncio.sleep(_LOOK_SECONDS)
        self._violations += [_told(seat, heads) for seat in behind]

    def _report(self) -> ClientReport:
        for record in self.records:
            record.check()
            self._violations += record.violations
        return ClientReport(
            devices=len(self.records),
            lives=self.lives,
            handled=sum(len(record.handled) for record in self.records),
            failures=sum(record.failures for record in self.records),
            declared=sum(len(record.declared) for record in self.records),
            stops=self.stops,
            leavings=self.leavings,
            violations=self._violations,
        )


def _is_behind(seat: Seat, heads: Mapping[str, int]) -> bool:
    return seat.record.reached < heads.get(seat.place.user_id, 0)


def _told(seat: Seat, heads: Mapping[str, int]) -> str:
    record = seat.record
    name = f"{record.user_id}/{record.device_id} ({seat.way})"
    return f"{name}: reached {record.reached} of {heads[record.user_id]}"


async def _true_after(seconds: float) -> Literal[True]:
    await asyncio.sleep(seconds)
    return True


async def _next_line() -> bytes:
    return await asyncio.to_thread(sys.stdin.buffer.readline)


def main() -> None:
    """Take an order from standard input and carry it out."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    report = asyncio.run(_run(order))
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")


async def _run(order: Order) -> ClientReport:
    return await House(order).run()


if __name__ == "__main__":
    main()
