"""What a session is bound by, and whose it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers of the session protocol; times in seconds."""

    hello_wait: float = 5.0
    ack_wait: float = 10.0
    pong_wait: float = 8.0
    wip_max: float = 300.0
    heartbeat: float = 25.0
    auth_grace: float = 30.0
    lifetime: float = 3600.0
    move_wait: float = 20.0
    window_events: int = 256
    window_bytes: int = 1024 * 1024
    frame_rate: float = 1_000.0
    frame_burst: float = 2_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a session belongs to, and by what.

    Attributes:
        user_id: The user.
        expires_at: Its end, in monotonic seconds; None: no end.
        issued_at: When its token was made, in seconds since 1970; None: unknown.
        key_id: Which key signed it; None: the service's own secret.
    """

    user_id: str
    expires_at: float | None = None
    issued_at: float | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What `welcome` says about the process that answers."""

    revision: str
    instance: str
