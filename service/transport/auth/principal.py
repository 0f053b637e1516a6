"""Who a token stands for, and what that allows."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import PermissionDeniedError

PUBLISH = "publish"
OPERATE = "operate"
SCOPES = frozenset({PUBLISH, OPERATE})

_ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a token stands for.

    Attributes:
        subject: Its `sub`, or an operator's e-mail address.
        scopes: What it may do beside being a user.
        until, issued_at: Seconds since 1970; None: no end, not known.
        key_id: Which key signed it; None where one secret signs all.
        publishes_to: Patterns of the users that it may publish to; None: all.
        is_user: False for a program or person that is nobody's user.
    """

    subject: str
    scopes: frozenset[str]
    until: float | None
    issued_at: float | None = None
    key_id: str | None = None
    publishes_to: Sequence[str] | None = None
    is_user: bool = True

    def require(self, scope: str) -> None:
        """Raise `PermissionDeniedError` unless the scope is granted."""
        if scope not in self.scopes:
            raise PermissionDeniedError(f"scope: {scope} is needed")

    def require_self_or(self, scope: str, user_id: str) -> None:
        """Raise `PermissionDeniedError` unless it is the user or has the scope."""
        if not self.is_user or self.subject != user_id:
            self.require(scope)

    def require_user(self) -> None:
        """Raise `PermissionDeniedError` unless it can be a user."""
        if not self.is_user:
            raise PermissionDeniedError("an operator's account is no user")

    def may_publish_to(self, user_id: str) -> bool:
        """Whether the token's patterns, if it has any, allow this user."""
        if self.publishes_to is None:
            return True
        return any(matches(pattern, user_id) for pattern in self.publishes_to)


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern in which `*` stands for any characters.

    Nothing else is special. Takes time in proportion to the name, whatever the
    pattern, which a regular expression would not.
    """
    first, *rest = pattern.split(_ANY)
    if not rest:
        return name == pattern
    *inner, last = rest
    if not name.startswith(first):
        return False
    at = len(first)
    for part in inner:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(name) - at >= len(last) and name.endswith(last)
