"""Everything the service counts, under the names of `service.contract`.

A new metric is three places: its name in the contract, an instrument here (public if
its one use is `inc`, `set` or `observe`), a row in docs/operations.md. Labels have
few values: never a user, an event, or a client's own words.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping

from service.contract import Metric as Name
from service.observe.instruments import Instruments

_LATENCY_BUCKETS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300,
    3600, 86400,
)  # fmt: skip
_GROUP_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_REPLAY_BUCKETS = (0, 1, 4, 16, 64, 256, 1024, 4096, 16384)
# Publishers invent types; these are the ones that every agent has.
_TYPES = frozenset(
    {
        "agent_started",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "agent_completed",
    }
)
_OTHER = "other"


class Metrics:
    """One object per process. Methods where a count needs more than `inc`."""

    def __init__(self) -> None:
        new = Instruments()
        self.registry = new.registry
        self.redelivered = 0  # for the demo's final line

        # ---- publish ----
        self._published = new.counter(
            Name.PUBLISHED, "Events stored, by priority.", "priority"
        )
        self._deduplicated = new.counter(
            Name.PUBLISH_DEDUPLICATED, "Publishes answered with an earlier receipt."
        )
        self._rejected = new.counter(
            Name.PUBLISH_REJECTED, "Publishes refused, by error code.", "code"
        )
        self._requests = new.counter(
            Name.PUBLISH_REQUESTS,
            "Publishes over HTTP, by what they were answered with.",
            "outcome",
            known=("accepted", "refused", "failed"),
        )
        self._groups = new.histogram(
            Name.COMMIT_GROUP_EVENTS, "Events per publish commit.", _GROUP_BUCKETS
        )

        # ---- outcomes ----
        self._settled = new.counter(
            Name.SETTLED,
            "Events settled, by outcome.",
            "outcome",
            known=("confirmed", "dead", "expired", "discarded", "redriven"),
        )
        self._connected = new.counter(
            Name.CONFIRMED_CONNECTED,
            "Events that came while their device was connected, by how fast it was.",
            "pace",
            known=("in_time", "late", "dead"),
        )
        self._latency = new.histogram(
            Name.CONFIRMATION_LATENCY,
            "Acceptance to confirmation; each event of a settlement counts with the "
            "age of its oldest.",
            _LATENCY_BUCKETS,
        )
        self._latency_by_type = new.histogram(
            Name.CONFIRMATION_LATENCY_BY_TYPE,
            "The same, by type; only the oldest event of each settlement counts.",
            _LATENCY_BUCKETS,
            "type",
        )
        self._redeliveries = new.counter(
            Name.REDELIVERIES, "Events written to a socket again after a failure."
        )
        self._failed_attempts = new.counter(
            Name.FAILED_ATTEMPTS, "Attempts that failed, by kind.", "reason"
        )
        self._backlog = new.gauge(
            Name.BACKLOG, "Open events, by state.", "state", joined="livemax"
        )
        self._oldest_age = new.gauge(
            Name.UNCONFIRMED_OLDEST_AGE,
            "Age of the oldest open event, in seconds; 0 without any.",
            joined="livemax",
        )

        # ---- dead letters ----
        self._letters_closed = new.counter(
            Name.DEAD_LETTERS_CLOSED, "Dead letters redriven or discarded.", "outcome"
        )
        self._webhook = new.counter(
            Name.WEBHOOK_DELIVERIES,
            "Posts to the webhook, by outcome.",
            "outcome",
            known=("delivered", "failed", "given_up"),
        )
        self.webhook_pending = new.gauge(
            Name.WEBHOOK_PENDING,
            "Notices that wait for the webhook, up to 10,000.",
            joined="livemax",
        )

        # ---- ephemeral events ----
        self.ephemeral_sent = new.counter(
            Name.EPHEMERAL_SENT, "Ephemeral events written to a socket."
        )
        self.ephemeral_dropped = new.counter(
            Name.EPHEMERAL_DROPPED, "Ephemeral events dropped for a slow socket."
        )

        # ---- sessions ----
        self.sessions = new.gauge(Name.SESSIONS, "Live sessions on this node.")
        self._opened = new.counter(
            Name.SESSIONS_OPENED, "Sessions welcomed, by kind of resume.", "resume"
        )
        self._closed = new.counter(
            Name.SESSIONS_CLOSED, "Sessions ended, by close code.", "code"
        )
        self._ack_rejected = new.counter(
            Name.ACK_REJECTED, "Acks refused, by error code.", "code"
        )
        self._auth_rejected = new.counter(
            Name.AUTH_REJECTED, "Credentials refused, by reason.", "reason"
        )
        self._admission_rejected = new.counter(
            Name.ADMISSION_REJECTED, "Connections without room, by reason.", "reason"
        )
        self.keys_failed = new.counter(
            Name.KEYS_FAILED, "Fetches of an identity provider's keys that failed."
        )
        self.resume_replayed = new.histogram(
            Name.RESUME_REPLAYED,
            "Seqs that a session was given before it was live.",
            _REPLAY_BUCKETS,
        )
        self.window_full_seconds = new.counter(
            Name.WINDOW_FULL_SECONDS,
            "Seconds that sessions were behind with a full window.",
        )
        self._intervals = new.counter(
            Name.SESSION_INTERVALS,
            "Minutes of sessions, by what became of them.",
            "outcome",
            "revision",
        )

        # ---- other nodes ----
        self.wakeups_sent = new.counter(
            Name.WAKEUPS_SENT, "Messages told to other nodes."
        )
        self._wakeups_heard = new.counter(
            Name.WAKEUPS_HEARD, "Wake-ups heard from other nodes, by kind.", "kind"
        )
        self.wakeup_reconnects = new.counter(
            Name.WAKEUP_RECONNECTS, "Times that listening to wake-ups began anew."
        )
        self.wakeup_lag = new.histogram(
            Name.WAKEUP_LAG,
            "From a message's sending to its hearing, by both machines' clocks.",
            _LATENCY_BUCKETS,
        )

        # ---- surroundings ----
        self.sweep_recovered = new.counter(
            Name.SWEEP_RECOVERED, "Sessions the sweep found behind; about 0."
        )
        self._database_retries = new.counter(
            Name.DATABASE_RETRIES, "Repeated database work, by reason.", "reason"
        )
        self.events_pruned = new.counter(
            Name.PRUNED, "Events that were settled long ago and are forgotten now."
        )

    def committed(self, priorities: Iterable[str], *, repeats: int) -> None:
        """Count one publish commit: the priorities of what is new, and repeats."""
        new = Tally(priorities)
        for priority, count in new.items():
            self._published.labels(priority).inc(count)
        self._groups.observe(new.total() + repeats)
        self._deduplicated.inc(repeats)

    def settled(
        self,
        outcome: str,
        count: int,
        latency_seconds: float | None,
        oldest_type: str | None = None,
    ) -> None:
        """Count the events of one settlement."""
        self._settled.labels(outcome).inc(count)
        if outcome == "dead":
            # Attempts are only spent on devices that are connected.
            self._connected.labels(outcome).inc(count)
        if outcome != "confirmed" or latency_seconds is None:
            return
        self._latency.observe_many(latency_seconds, count)
        if oldest_type is not None:
            label = oldest_type if oldest_type in _TYPES else _OTHER
            self._latency_by_type.labels(label).observe(latency_seconds)

    def rejected(self, code: str) -> None:
        """Count a refused publish."""
        self._rejected.labels(code).inc()

    def publish_answered(self, outcome: str) -> None:
        """Count a publish over HTTP: accepted, refused or failed."""
        self._requests.labels(outcome).inc()

    def confirmed_connected(self, count: int, *, in_time: bool) -> None:
        """Count events that were accepted while the device that confirmed was here."""
        self._connected.labels("in_time" if in_time else "late").inc(count)

    def redelivery(self) -> None:
        """Count an event that was written to a socket again."""
        self.redelivered += 1
        self._redeliveries.inc()

    def failed_attempt(self, reason: str) -> None:
        """Count a failed attempt by kind; clients' own words are not a label."""
        self._failed_attempts.labels(reason).inc()

    def letters_closed(self, outcome: str, count: int) -> None:
        """Count dead letters that somebody redrove or discarded."""
        self._letters_closed.labels(outcome).inc(count)

    def webhook(self, outcome: str) -> None:
        """Count a post to the webhook: delivered, failed or given_up."""
        self._webhook.labels(outcome).inc()

    def session_opened(self, resume: str) -> None:
        """Count a welcome."""
        self._opened.labels(resume).inc()

    def session_closed(self, code: int) -> None:
        """Count the end of a session."""
        self._closed.labels(str(code)).inc()

    def session_interval(self, outcome: str, revision: str, count: int = 1) -> None:
        """Count minutes of sessions; 0 shows that none went so yet."""
        self._intervals.labels(outcome, revision).inc(count)

    def wakeup_heard(self, kind: str, count: int) -> None:
        """Count wake-ups of one message: users, events, frames or sessions."""
        self._wakeups_heard.labels(kind).inc(count)

    def ack_rejected(self, code: str) -> None:
        """Count a refused ack."""
        self._ack_rejected.labels(code).inc()

    def auth_rejected(self, reason: str) -> None:
        """Count a credential that did not hold."""
        self._auth_rejected.labels(reason).inc()

    def admission_rejected(self, reason: str) -> None:
        """Count a connection that there was no room for."""
        self._admission_rejected.labels(reason).inc()

    def database_retry(self, reason: str) -> None:
        """Count repeated database work."""
        self._database_retries.labels(reason).inc()

    def backlog(self, by_state: Mapping[str, int], oldest_seconds: float) -> None:
        """Show what is open; a node that is not the one to ask shows zeros."""
        for state, count in by_state.items():
            self._backlog.labels(state).set(count)
        self._oldest_age.set(oldest_seconds)
