"""The rules that are broken one at a time: what to replace, where, and by what."""

from dataclasses import dataclass

_DEVICE = "service/core/device.py"
_PROGRESS = "service/core/device_progress.py"
_RESUME = "service/core/resume.py"
_ANSWERS = "service/core/answers.py"
_REPEATS = "service/core/repeats.py"
_FLIGHT = "service/core/flight.py"
_FEED = "service/core/feed.py"
_SESSIONS = "service/app/sessions.py"
_SETTLE_SQL = "service/adapters/queries/settle.sql"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One rule broken: `old` is in the file exactly once.

    `by_model`: honest parties around it hide it; the session model is asked first.
    """

    name: str
    path: str
    old: str
    new: str
    by_model: bool = False


MUTATIONS = (
    # ---- the client ----
    Mutation(
        "the client drops its dedupe",
        _DEVICE,
        "        if self._progress.done(seq):\n            self._owe(seq, now)\n",
        "        if False:\n            self._owe(seq, now)\n",
    ),
    Mutation(
        "the client starts a second handler for an event at work",
        _DEVICE,
        "        if self._progress.pending(seq):\n",
        "        if False:\n",
    ),
    Mutation(
        "the client acks before the handler",
        _DEVICE,
        "            actions.append(Handle(self._progress.take_next()))\n",
        "            event = self._progress.take_next()\n"
        "            self._progress.complete(event.seq, event.seq)\n"
        "            self._owe(event.seq, now)\n"
        "            actions.append(Handle(event))\n",
    ),
    Mutation(
        "the client's floor jumps over what is not handled",
        _PROGRESS,
        "        self.floor = ranges.prefix_end(done, floor)\n",
        "        self.floor = max(floor, done[-1][1] if done else 0)\n",
    ),
    Mutation(
        "the client forgets what it handled beyond its floor when it starts",
        _PROGRESS,
        "            self._advance(cursor.seq, ranges.of(cursor.beyond))\n",
        "            self._advance(cursor.seq, EMPTY)\n",
    ),
    Mutation(
        "`upto` covers refused events",
        _DEVICE,
        "self._acks.take(upto=min(self._progress.floor, self._received))",
        "self._acks.take(upto=self._received)",
    ),
    Mutation(
        "the client acks what this session was not sent",
        _DEVICE,
        "        if seq <= self._received:\n            self._acks.add(seq, now=now)\n",
        "        if seq:\n            self._acks.add(seq, now=now)\n",
    ),
    Mutation(
        "the client waits for a refused event that another device confirmed",
        _DEVICE,
        "                self._progress.declare_refused(first, last)\n",
        "                pass\n",
    ),
    # ---- where a device continues ----
    Mutation(
        "resume confirms one more than the cursor",
        _RESUME,
        "    acked = ((1, cursor.seq), *cursor.beyond)",
        "    acked = ((1, cursor.seq + 1), *cursor.beyond)",
    ),
    Mutation(
        "resume continues at cursor + 2",
        _RESUME,
        "        from_seq=cursor.seq + 1,\n",
        "        from_seq=cursor.seq + 2,\n",
    ),
    Mutation(
        "resume ignores the epoch",
        _RESUME,
        "    if cursor.epoch != stream.epoch or highest > stream.head_seq:\n",
        "    if highest > stream.head_seq:\n",
    ),
    # ---- the session ----
    Mutation(
        "an ack is taken without a look at what was sent",
        _ANSWERS,
        "        if seq > self._feed.last_seq:\n",
        "        if False:\n",
        by_model=True,
    ),
    Mutation(
        "a refused event counts as one at work",
        _ANSWERS,
        "        held.waiting = held.refused = True\n",
        "        held.waiting = True\n",
    ),
    Mutation(
        "an event is pushed over a hole",
        _FEED,
        "            seq != self.last_seq + 1\n",
        "            seq <= self.last_seq\n",
        by_model=True,
    ),
    Mutation(
        "an event is pushed into a full window",
        _FEED,
        "            or not self._flight.has_room(size)\n        ):\n",
        "        ):\n",
        by_model=True,
    ),
    Mutation(
        "what was pruned is skipped without a gap",
        _FEED,
        "                actions.append(self.gap(seq - 1))\n",
        "                self.last_seq = seq - 1\n",
    ),
    Mutation(
        "a dead letter is made without a word to the client",
        _REPEATS,
        "        return [settled_frame(told, outcome, by)] if told else ()\n",
        "        return ()\n",
    ),
    Mutation(
        "an event that was settled meanwhile goes out again",
        _REPEATS,
        "        if entry.outcome is not None:\n"
        "            return self.settled([(seq, seq)], entry.outcome, None)\n",
        "",
        by_model=True,
    ),
    Mutation(
        "the window is not freed of what another device confirmed",
        _FLIGHT,
        "            held = self._held.pop(seq)\n"
        "            self._bytes -= held.size\n"
        "            if held.settled_by is not None:\n"
        "                continue\n",
        "            held = self._held[seq]\n"
        "            if held.settled_by is not None:\n"
        "                continue\n"
        "            del self._held[seq]\n"
        "            self._bytes -= held.size\n",
    ),
    Mutation(
        "goaway closes at once",
        "service/core/move.py",
        "        return now >= self._until\n",
        "        return self.is_due(now)\n",
    ),
    # ---- the node ----
    Mutation(
        "the sweep is skipped",
        _SESSIONS,
        "        self.wake(heads)\n",
        "",
    ),
    Mutation(
        "a session is never taken off the roster",
        "service/app/live.py",
        "        if live in mine:\n",
        "        if False:\n",
    ),
    Mutation(
        "acks are dropped while the database is away",
        "service/app/settling.py",
        "                if self._closing:\n                    return error",
        "                if True:\n                    return error",
    ),
    Mutation(
        "who disconnects spends the budget",
        _SESSIONS,
        "        live.session.ended()\n",
        "        for first, last in live.session.flight.awaited():\n"
        "            for seq in range(first, last + 1):\n"
        "                held = live.session.flight[seq]\n"
        '                fail = Fail(seq, held.attempt, "ack_timeout", False)\n'
        "                self._spawn(live, self.failures.failed(live, fail))\n"
        "        live.session.ended()\n",
    ),
    Mutation(
        "a wake-up is believed: what it names is taken for confirmed",
        _SESSIONS,
        "        self._elsewhere.hint(users)\n",
        "        self._settled([\n"
        "            Settled(user, a, b, Outcome.CONFIRMED, None, None)\n"
        "            for user in users\n"
        "            for live in self.roster.of(user)\n"
        "            for a, b in live.session.flight.awaited()\n"
        "        ])\n",
    ),
    Mutation(
        "the budget has one attempt more",
        "service/core/delivery.py",
        "    if failures.count >= schedule.budget:\n",
        "    if failures.count > schedule.budget:\n",
    ),
    Mutation(
        "an event without attempts left is sent again",
        "service/app/ended_entries.py",
        "            if self._is_spent(entry):\n",
        "            if False:\n",
    ),
    Mutation(
        "an event is said to be expired before it is",
        "service/app/ended_entries.py",
        "        if late:\n",
        "        if False:\n",
    ),
    Mutation(
        "presence forgets what an unanswered beat may have written",
        "service/app/presence.py",
        "        self._unsure.update(opened)",
        "        self._unsure.update(())",
    ),
    # ---- the database ----
    Mutation(
        "record_failure has no fence",
        _SETTLE_SQL,
        "     WHERE $3::int = failures + 1\n",
        "     WHERE $3::int > 0\n",
    ),
    Mutation(
        "record_failure counts what comes too early",
        _SETTLE_SQL,
        "       AND (failures = 0 OR now() >= last_at\n",
        "       AND (true OR now() >= last_at\n",
    ),
    Mutation(
        "settle goes beyond the head",
        _SETTLE_SQL,
        "           least(a.to_seq, l.head_seq) AS upper\n",
        "           a.to_seq AS upper\n",
    ),
    Mutation(
        "the floor moves over a hole",
        _SETTLE_SQL,
        "           CASE WHEN lower(m.beyond) = m.settled_seq + 1\n",
        "           CASE WHEN lower(m.beyond) > m.settled_seq\n",
    ),
    Mutation(
        "a redriven event's old row answers a repeat",
        "service/adapters/queries/publish.sql",
        "               AND e.redriven_to IS NULL;",
        "               AND e.redrive = 0;",
    ),
)
