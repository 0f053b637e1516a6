"""Names that other programs rely on.

Those are the infrastructure, the operators' command line and both clients.

Standard library only, names only, no logic. A name here may be added; changing or
removing one is a breaking change and needs a CHANGELOG entry.
"""

from enum import IntEnum, StrEnum

SERVICE_NAME = "event-service"
SUBPROTOCOL = "events.v1.json"
PROTOCOL_VERSION = 1


class CloseCode(IntEnum):
    """WebSocket close codes of the session protocol.

    4000-4099: reconnect. 4100 and above: final, except 4401 (fetch a new ticket first).
    """

    GOAWAY = 4001
    SLOW_READER = 4008
    NO_PONG = 4012
    RATE_LIMITED = 4029
    BAD_FRAME = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL = 4406
    REPLACED = 4409
    TOO_LARGE = 4413


class Port(IntEnum):
    """Ports of a container in the cloud; elsewhere PORT and METRICS_PORT say."""

    SERVICE = 8000
    # Where the platform's Prometheus sidecar scrapes without settings of its own.
    METRICS = 8080


class Path(StrEnum):
    """HTTP paths."""

    EVENTS = "/v1/events"
    EVENT = "/v1/events/{event_id}"
    USER_EVENTS = "/v1/users/{user}/events"
    SOCKET = "/v1/socket"
    STREAM = "/v1/stream"
    ACKS = "/v1/acks"
    POLL = "/v1/poll"
    TICKETS = "/v1/tickets"
    CODES = "/v1/codes"
    REVOCATIONS = "/v1/revocations"
    CANCELS = "/v1/cancels"
    DEAD_LETTERS = "/v1/dead-letters"
    DRAIN = "/v1/drain"
    SESSIONS = "/v1/sessions"
    DEAD_LETTERS_EXPORT = "/v1/dead-letters/export"
    DEAD_LETTERS_SUMMARY = "/v1/dead-letters/summary"
    DEAD_LETTERS_REDRIVE = "/v1/dead-letters/redrive"
    DEAD_LETTERS_DISCARD = "/v1/dead-letters/discard"
    STATUS = "/v1/status"
    SAMPLES = "/v1/samples"
    SEARCH = "/v1/search"
    RUNS = "/v1/runs"
    AGUI = "/v1/agui"
    HEALTH = "/health"
    HEALTH_READY = "/health/ready"
    HEALTH_LIVE = "/health/live"
    CONSOLE = "/console"
    USER_PAGE = "/"
    STATIC = "/static"
    DOCS = "/docs"
    METRICS = "/metrics"


class Env(StrEnum):
    """Environment variables that the service reads; the last group only in `demo`."""

    ACK_WAIT_SECONDS = "ACK_WAIT_SECONDS"
    ALLOWED_HOSTS = "ALLOWED_HOSTS"
    ALLOWED_ORIGINS = "ALLOWED_ORIGINS"
    AUTH_AUDIENCE = "AUTH_AUDIENCE"
    AUTH_ISSUER = "AUTH_ISSUER"
    AUTH_JWKS_URL = "AUTH_JWKS_URL"
    AUTH_LEEWAY_SECONDS = "AUTH_LEEWAY_SECONDS"
    AUTH_SECRET = "AUTH_SECRET"  # noqa: S105 -- the variable's name, not its value
    BIND_HOST = "BIND_HOST"
    DATABASE_CA = "DATABASE_CA"
    DATABASE_LOGIN = "DATABASE_LOGIN"
    DATABASE_POOL_SIZE = "DATABASE_POOL_SIZE"
    DATABASE_RUNTIME_USER = "DATABASE_RUNTIME_USER"
    DATABASE_STATEMENT_TIMEOUT_SECONDS = "DATABASE_STATEMENT_TIMEOUT_SECONDS"
    DATABASE_URL = "DATABASE_URL"
    DATA_DIR = "DATA_DIR"
    ENVIRONMENT = "ENVIRONMENT"
    FRAME_EVENTS = "FRAME_EVENTS"
    FRAME_RATE = "FRAME_RATE"
    GOOGLE_CLOUD_PROJECT = "GOOGLE_CLOUD_PROJECT"
    GOOGLE_JWKS_URL = "GOOGLE_JWKS_URL"
    HEARTBEAT_SECONDS = "HEARTBEAT_SECONDS"
    HELLO_WAIT_SECONDS = "HELLO_WAIT_SECONDS"
    LOG_FORMAT = "LOG_FORMAT"
    LOG_LEVEL = "LOG_LEVEL"
    MAX_CONNECTIONS = "MAX_CONNECTIONS"
    MAX_UNAUTHENTICATED = "MAX_UNAUTHENTICATED"
    METADATA_HOST = "GCE_METADATA_HOST"  # as Google's own libraries call it
    METRICS_PORT = "METRICS_PORT"
    OPERATOR_ACCOUNTS = "OPERATOR_ACCOUNTS"
    OPERATOR_AUDIENCE = "OPERATOR_AUDIENCE"
    OTEL_EXPORTER_OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
    PONG_WAIT_SECONDS = "PONG_WAIT_SECONDS"
    PORT = "PORT"
    PUBLISH_BURST = "PUBLISH_BURST"
    PUBLISH_RATE = "PUBLISH_RATE"
    REDIS_CA = "REDIS_CA"
    REDIS_LOGIN = "REDIS_LOGIN"
    REDIS_URL = "REDIS_URL"
    RETENTION_DEAD_LETTER_DAYS = "RETENTION_DEAD_LETTER_DAYS"
    RETENTION_SETTLED_HOURS = "RETENTION_SETTLED_HOURS"
    REQUEST_TIMEOUT_SECONDS = "REQUEST_TIMEOUT_SECONDS"
    REVISION = "K_REVISION"  # set by Cloud Run
    SWEEP_SECONDS = "SWEEP_SECONDS"
    TRUSTED_PROXIES = "TRUSTED_PROXIES"
    WAKEUPS = "WAKEUPS"
    WEBHOOK_SECRET = "WEBHOOK_SECRET"  # noqa: S105 -- the variable's name
    WEBHOOK_URL = "WEBHOOK_URL"
    WINDOW_BYTES = "WINDOW_BYTES"
    WINDOW_EVENTS = "WINDOW_EVENTS"
    WORKERS = "WORKERS"
    WORKER_SLOT = "WORKER_SLOT"  # set by the supervisor
    WRITE_WAIT_SECONDS = "WRITE_WAIT_SECONDS"

    ANTHROPIC_API_KEY = "ANTHROPIC_API_KEY"
    CI = "CI"
    DISPLAY = "DISPLAY"
    HEADLESS = "HEADLESS"
    MODEL_NAME = "MODEL_NAME"
    OPENAI_API_KEY = "OPENAI_API_KEY"
    WAYLAND_DISPLAY = "WAYLAND_DISPLAY"


class Metric(StrEnum):
    """Prometheus metric names (label names in brackets)."""

    PUBLISHED = "events_published_total"  # {priority}
    PUBLISH_DEDUPLICATED = "publish_deduplicated_total"
    PUBLISH_REJECTED = "publish_rejected_total"  # {code}
    PUBLISH_REQUESTS = "publish_requests_total"  # {outcome}
    SETTLED = "events_settled_total"  # {outcome}
    CONFIRMATION_LATENCY = "confirmation_latency_seconds"
    CONFIRMATION_LATENCY_BY_TYPE = "confirmation_latency_by_type_seconds"  # {type}
    CONFIRMED_CONNECTED = "confirmed_connected_total"  # {pace}
    REDELIVERIES = "redeliveries_total"
    FAILED_ATTEMPTS = "failed_attempts_total"  # {reason}
    EPHEMERAL_SENT = "ephemeral_sent_total"
    EPHEMERAL_DROPPED = "ephemeral_dropped_total"
    SESSIONS = "sessions"
    SESSIONS_OPENED = "sessions_opened_total"  # {resume}
    SESSIONS_CLOSED = "sessions_closed_total"  # {code}
    ACK_REJECTED = "ack_rejected_total"  # {code}
    AUTH_REJECTED = "auth_rejected_total"  # {reason}
    ADMISSION_REJECTED = "admission_rejected_total"  # {reason}
    KEYS_FAILED = "keys_failed_total"
    COMMIT_GROUP_EVENTS = "commit_group_events"
    SWEEP_RECOVERED = "sweep_recovered_total"
    WAKEUPS_SENT = "wakeups_sent_total"
    WAKEUPS_HEARD = "wakeups_heard_total"  # {kind}
    WAKEUP_RECONNECTS = "wakeup_reconnects_total"
    WAKEUP_LAG = "wakeup_lag_seconds"
    DATABASE_RETRIES = "database_retries_total"  # {reason}
    PRUNED = "events_pruned_total"
    DEAD_LETTERS_CLOSED = "dead_letters_closed_total"  # {outcome}
    WEBHOOK_DELIVERIES = "webhook_deliveries_total"  # {outcome}
    WEBHOOK_PENDING = "webhook_outbox_pending"
    SESSION_INTERVALS = "session_intervals_total"  # {outcome,revision}
    RESUME_REPLAYED = "resume_replayed_events"
    WINDOW_FULL_SECONDS = "window_full_seconds_total"
    BACKLOG = "backlog_events"  # {state}
    UNCONFIRMED_OLDEST_AGE = "unconfirmed_oldest_age_seconds"
    WORKERS = "workers"
    WORKER_RESTARTS = "worker_restarts_total"


class LogEvent(StrEnum):
    """Constant names of structured log events (field `event`)."""

    SERVICE_STARTED = "service_started"
    SERVICE_STOPPING = "service_stopping"
    SERVICE_STOPPED = "service_stopped"
    SESSION_OPENED = "session_opened"
    SESSION_CLOSED = "session_closed"
    ATTEMPT_FAILED = "attempt_failed"
    EVENT_REDELIVERED = "event_redelivered"
    EVENT_DEAD = "event_dead"
    EVENTS_EXPIRED = "events_expired"
    EVENTS_PRUNED = "events_pruned"
    DEAD_LETTERS_CLOSED = "dead_letters_closed"
    WEBHOOK_FAILED = "webhook_failed"
    WEBHOOK_GIVEN_UP = "webhook_given_up"
    DATABASE_UNAVAILABLE = "database_unavailable"
    WAKEUPS_LOST = "wakeups_lost"
    LOGIN_LATE = "login_late"  # a token could not be renewed yet; the old one holds
    BACKGROUND_FAILED = "background_failed"
    REQUEST_FAILED = "request_failed"
    DELIVERY_PROBLEM = "delivery_problem"
    CANCEL_REQUESTED = "cancel_requested"
    DRAIN_REQUESTED = "drain_requested"
    KEYS_CHANGED = "keys_changed"
    KEYS_UNAVAILABLE = "keys_unavailable"
    USER_REVOKED = "user_revoked"
    CANCEL_WATCH_FAILED = "cancel_watch_failed"
    WORKER_STARTED = "worker_started"
    WORKER_ENDED = "worker_ended"
    SUPERVISOR_LOST = "supervisor_lost"


class LogField(StrEnum):
    """Fields of structured log events."""

    EVENT_ID = "event_id"
    USER_ID = "user_id"
    SEQ = "seq"
    ATTEMPT = "attempt"
    REASON = "reason"
    RUN_ID = "run_id"
    DEVICE_ID = "device_id"
    SESSION_ID = "session_id"
    CODE = "code"
    COUNT = "count"
    DRAINED = "drained"  # the revision whose clients are asked to move
    OUTCOME = "outcome"
    DELIVERY_ID = "delivery_id"
    TRACE = "trace"  # becomes Cloud Logging's own fields
    WORKER = "worker"


class OpsEvent(StrEnum):
    """Structured log events that `ops` writes and alerts read (field `event`)."""

    TRAFFIC_HELD = "traffic_held"  # every observation while deliveries are held
    TRAFFIC_DRIFT = "traffic_drift"  # live traffic is not what was last decided
    ROLLBACK_UNVERIFIED = "rollback_unverified"
    CANARY_STUCK = "canary_stuck"
    DRILL_PASSED = "drill_passed"
    OBSERVED = "observed"  # `ops observe` ran to its end


class Tag(StrEnum):
    """Tags that `ops` manages on the traffic of the service."""

    STABLE = "stable"
    PREVIOUS = "previous"
    CANDIDATE = "candidate"


class StackOutput(StrEnum):
    """Outputs of an infrastructure stack: what `ops` and the pipelines read."""

    PROJECT = "project"
    REGION = "region"
    ENVIRONMENT = "environment"
    SERVICE_NAME = "serviceName"  # empty until an image is configured
    SERVICE_URL = "serviceUrl"
    CANDIDATE_URL = "candidateUrl"
    MIGRATION_JOB = "migrationJob"
    IMAGE_REPOSITORY = "imageRepository"
    CONFIGURED_IMAGE_DIGEST = "configuredImageDigest"
    DATABASE_INSTANCE = "databaseInstance"
    DATABASE_NAME = "databaseName"
    RUNTIME_ACCOUNT = "runtimeAccount"
    MIGRATOR_ACCOUNT = "migratorAccount"
    RUNTIME_DATABASE_USER = "runtimeDatabaseUser"
    MIGRATOR_DATABASE_USER = "migratorDatabaseUser"
    CACHE_HOST = "cacheHost"  # empty without a cache
    CACHE_PORT = "cachePort"
    EDGE_ADDRESS = "edgeAddress"  # empty without an edge
    DELIVERY_PROVIDER = "deliveryProvider"
    DELIVERY_ACCOUNTS = "deliveryAccounts"  # by role: preview, apply, release
    ALERT_POLICIES = "alertPolicies"
    OBJECTIVES = "objectives"
    DASHBOARD = "dashboard"
    MISSING = "missing"  # what a person must still fill in
