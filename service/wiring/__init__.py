"""The composition root: the only place that picks adapters, clock and randomness."""

from service.wiring.logins import database_access
from service.wiring.process import (
    KERNEL_SPREADS,
    collect_garbage_rarely,
    configure_logs,
    listen,
    serve_metrics,
    token_signer,
    until_told_to_stop,
)
from service.wiring.server import Server
from service.wiring.service import Service, connect
from service.wiring.serving import serving

__all__ = [
    "KERNEL_SPREADS",
    "Server",
    "Service",
    "collect_garbage_rarely",
    "configure_logs",
    "connect",
    "database_access",
    "listen",
    "serve_metrics",
    "serving",
    "token_signer",
    "until_told_to_stop",
]
