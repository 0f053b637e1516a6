"""Who a request is: tokens and their keys, single-use tickets and codes."""

from service.transport.auth.credentials import (
    CODE_SECONDS,
    TICKET_SECONDS,
    Credentials,
)
from service.transport.auth.principal import OPERATE, PUBLISH, SCOPES, Principal
from service.transport.auth.tokens import TOKEN_SECONDS, Tokens

__all__ = [
    "CODE_SECONDS",
    "OPERATE",
    "PUBLISH",
    "SCOPES",
    "TICKET_SECONDS",
    "TOKEN_SECONDS",
    "Credentials",
    "Principal",
    "Tokens",
]
