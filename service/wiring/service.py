"""The service put together on its database: every part, none of them running."""

import random
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uuid_utils

from service import __version__
from service.adapters.database import DatabaseManager
from service.adapters.database_access import DatabaseAccess
from service.adapters.http_webhook import HttpWebhook
from service.adapters.jwks_http import fetch_keys
from service.adapters.postgres_backlog import PostgresBacklog
from service.adapters.postgres_controls import PostgresControls
from service.adapters.postgres_dead_letters import PostgresDeadLetters
from service.adapters.postgres_presence import PostgresPresence
from service.adapters.postgres_retention import PostgresRetention
from service.adapters.postgres_runs import PostgresRuns
from service.adapters.postgres_samples import PostgresSamples
from service.adapters.postgres_secrets import PostgresSecrets
from service.adapters.postgres_store import PostgresStore
from service.adapters.postgres_wakeup import PostgresWakeup
from service.adapters.postgres_webhook_outbox import PostgresWebhookOutbox
from service.adapters.redis_wakeup import RedisWakeup, database_identity
from service.app.backlog import Backlog
from service.app.cancels import Cancels
from service.app.controls import Controls
from service.app.dead_letters import DeadLetters
from service.app.delivery_traces import DeliveryTraces
from service.app.ended_entries import EndedEntries
from service.app.expiry import Expiry
from service.app.health import Dependency
from service.app.long_poll import LongPolls
from service.app.moves import Moves
from service.app.posted import PostedFrames
from service.app.presence import NodePresence
from service.app.redelivery import Redelivery
from service.app.retention import Keep, Retention
from service.app.samples import Sampler
from service.app.sessions import Tuning, UnifiedWebSocketManager
from service.app.tracker import EventDeliveryTracker
from service.app.wakeups import WakeupChannel, WakeUps
from service.app.watchers import Watchers
from service.app.webhook import Webhook, notice_of, signing_key
from service.core.backoff import Schedule
from service.core.limits import Limits
from service.observe.metrics import Metrics
from service.settings import Settings
from service.transport.auth import Credentials, Tokens
from service.transport.auth.assembly import Authentication, authentication
from service.wiring.clock import SystemClock
from service.wiring.logins import cache_tokens, database_access
from service.wiring.name import node_of

# A publisher learns soon that the database is away, and keeps its event.
_RETRY_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that is put together, with its database connected."""

    settings: Settings
    database: DatabaseManager
    metrics: Metrics
    store: PostgresStore
    tracker: EventDeliveryTracker
    manager: UnifiedWebSocketManager
    wakeups: WakeUps
    posted: PostedFrames
    polls: LongPolls
    presence: NodePresence
    moves: Moves
    auth: Authentication
    expiry: Expiry
    retention: Retention
    backlog: Backlog
    sampler: Sampler
    controls: Controls
    runs: PostgresRuns
    watchers: Watchers
    cancels: Cancels
    dead_letters: DeadLetters
    webhook: Webhook | None
    receiver: HttpWebhook | None  # the webhook's connections

    @property
    def credentials(self) -> Credentials:
        """What tells who somebody is."""
        return self.auth.credentials

    @property
    def tokens(self) -> Tokens:
        """What signs tokens, where AUTH_SECRET is set."""
        if self.auth.signer is None:
            raise AssertionError("an identity provider signs the tokens")
        return self.auth.signer

    async def dependencies(self) -> Mapping[str, Dependency]:
        """Ask every dependency how it is; never raises."""
        found = {"database": await self.database.health(), **self.auth.dependencies()}
        wakeups = await self.wakeups.health()
        return found if wakeups is None else {**found, "wakeups": wakeups}


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Service]:
    """Put a service together on its database; closes the database at the end.

    Raises:
        SettingsError: the database refuses us, or DATABASE_URL is wrong.
        UnavailableError: the database is away.
    """
    metrics = Metrics()
    access = database_access(settings)
    database = await DatabaseManager.connect(
        access,
        pool_size=settings.database_pool_size,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
        retry_seconds=_RETRY_SECONDS,
        on_retry=metrics.database_retry,
    )
    channel = await _channel(settings, access, database, metrics)
    service = _assemble(settings, database, metrics, channel)
    try:
        async with _traced(settings, service):
            yield service
    finally:
        if service.receiver is not None:
            await service.receiver.close()
        await service.store.close()
        await database.close()


@asynccontextmanager
async def _traced(settings: Settings, service: Service) -> AsyncIterator[None]:
    """Record the spans of deliveries, if a collector is named."""
    if not settings.otlp_endpoint:
        yield
        return
    # Most nodes do without; these imports cost them a fifth of a second.
    from service.observe.spans import OtlpSpans  # noqa: PLC0415

    node = node_of(settings)
    spans = OtlpSpans(
        settings.otlp_endpoint,
        version=__version__,
        revision=node.revision,
        instance=node.instance,
    )
    traces = DeliveryTraces(spans, clock=SystemClock(), revision=node.revision)
    service.tracker.callbacks.committed.append(traces.published)
    service.tracker.callbacks.settled.append(traces.settled)
    service.manager.traces = traces
    try:
        yield
    finally:
        await spans.close()


async def _channel(
    settings: Settings,
    access: DatabaseAccess,
    database: DatabaseManager,
    metrics: Metrics,
) -> WakeupChannel | None:
    """Return what carries wake-ups, not connected yet."""
    if settings.wakeup_channel == "off":
        return None
    if settings.wakeup_channel == "redis" and settings.redis_url is not None:
        return RedisWakeup(
            settings.redis_url.get_secret_value(),
            namespace=await database_identity(database),
            uniform=random.random,
            on_reconnect=metrics.wakeup_reconnects.inc,
            authority=settings.redis_ca or "",
            tokens=cache_tokens(settings),
        )
    return PostgresWakeup(
        access,
        uniform=random.random,
        on_reconnect=metrics.wakeup_reconnects.inc,
    )


def _assemble(
    settings: Settings,
    database: DatabaseManager,
    metrics: Metrics,
    channel: WakeupChannel | None,
) -> Service:
    clock = SystemClock()
    schedule = Schedule()
    receiver = _receiver(settings)
    store = PostgresStore(
        database,
        schedule=schedule,
        notice_of=None if receiver is None else notice_of,
    )
    keeping = PostgresRetention(database)
    tracker = EventDeliveryTracker(store, clock=clock, new_id=_new_id, metrics=metrics)
    controls = Controls(PostgresControls(database))
    auth = authentication(
        settings,
        store=PostgresSecrets(database),
        controls=controls,
        fetch=fetch_keys,
        clock=clock,
        metrics=metrics,
    )
    watchers = Watchers(store)
    tracker.callbacks.committed.append(watchers.committed)
    tracker.callbacks.ephemeral.append(watchers.ephemeral)
    cancels = Cancels(controls)
    redelivery = Redelivery(
        store, tracker, schedule=schedule, random=random.random, metrics=metrics
    )
    manager = UnifiedWebSocketManager(
        tracker=tracker,
        store=store,
        redelivery=redelivery,
        authenticate=auth.credentials.redeem_ticket,
        end_run=cancels.insist,
        limits=_limits(settings),
        node=node_of(settings),
        tuning=Tuning(
            sweep=settings.sweep_seconds, write_wait=settings.write_wait_seconds
        ),
        new_id=lambda: secrets.token_urlsafe(12),
        jitter=random.random,
        clock=clock,
        metrics=metrics,
    )
    presence = NodePresence(
        PostgresPresence(database),
        node_id=secrets.token_hex(8),
        node=node_of(settings),
        roster=manager.roster,
        end=manager.end,
    )
    wakeups = WakeUps(
        channel,
        node_id=presence.node_id,
        tracker=tracker,
        sleepers=[manager, watchers],
        wall=clock.wall,
        metrics=metrics,
    )
    controls.added.append(lambda _control: wakeups.controls())
    posted = PostedFrames(
        tracker=tracker,
        manager=manager,
        store=store,
        relay=wakeups,
        end_run=lambda user_id, run_id: cancels.ask(user_id, run_id, asked_by=user_id),
        metrics=metrics,
    )
    wakeups.on_frame.append(posted.arrived)
    manager.failures.elsewhere = presence.elsewhere
    wakeups.alone = presence.alone
    wakeups.on_ended.append(presence.told_to_end)
    presence.hint = wakeups.ended
    return Service(
        settings=settings,
        database=database,
        metrics=metrics,
        store=store,
        tracker=tracker,
        manager=manager,
        wakeups=wakeups,
        posted=posted,
        polls=LongPolls(store, EndedEntries(tracker, redelivery)),
        presence=presence,
        moves=Moves(
            roster=manager.roster,
            goaway=manager.goaway,
            controls=controls,
            revision=settings.revision,
            random=random.random,
        ),
        auth=auth,
        expiry=Expiry(keeping, tracker, rest_seconds=settings.sweep_seconds / 2),
        retention=Retention(
            keeping,
            keep=Keep(
                settled=settings.retention_settled_hours * 3600,
                dead_letters=settings.retention_dead_letter_days * 86_400,
            ),
            rest_seconds=settings.sweep_seconds / 2,
            metrics=metrics,
        ),
        backlog=Backlog(
            PostgresBacklog(database),
            rest_seconds=15 * settings.sweep_seconds,
            clock=clock,
            metrics=metrics,
        ),
        sampler=Sampler(
            PostgresSamples(database), every_seconds=9 * settings.sweep_seconds
        ),
        controls=controls,
        runs=PostgresRuns(database),
        watchers=watchers,
        cancels=cancels,
        dead_letters=DeadLetters(
            PostgresDeadLetters(database), tracker, clock=clock, metrics=metrics
        ),
        webhook=_webhook(settings, receiver, database, clock, metrics),
        receiver=receiver,
    )


def _receiver(settings: Settings) -> HttpWebhook | None:
    if settings.webhook_url is None:
        return None
    return HttpWebhook(settings.webhook_url.get_secret_value())


def _webhook(
    settings: Settings,
    receiver: HttpWebhook | None,
    database: DatabaseManager,
    clock: SystemClock,
    metrics: Metrics,
) -> Webhook | None:
    if receiver is None or settings.webhook_secret is None:
        return None
    return Webhook(
        PostgresWebhookOutbox(database),
        receiver,
        key=signing_key(settings.webhook_secret.get_secret_value()),
        clock=clock,
        random=random.random,
        metrics=metrics,
    )


def _new_id() -> str:
    return str(uuid_utils.uuid7())


def _limits(settings: Settings) -> Limits:
    return Limits(
        hello_wait=settings.hello_wait_seconds,
        ack_wait=settings.ack_wait_seconds,
        pong_wait=settings.pong_wait_seconds,
        heartbeat=settings.heartbeat_seconds,
        lifetime=settings.request_timeout_seconds,
        window_events=settings.window_events,
        window_bytes=settings.window_bytes,
        frame_rate=settings.frame_rate,
        frame_burst=2 * settings.frame_rate,
    )
