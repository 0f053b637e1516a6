"""Whose credentials were withdrawn, and since when."""

from service.app.controls import Control, ControlKind, Controls, Wish

# No token lives longer; see `MAX_TOKEN_SECONDS` in the transport.
HOLD_SECONDS = 400 * 24 * 3600.0


class Revocations:
    """The view that one process has; each sweep of the controls brings it up to date.

    Args:
        controls: Where revocations are kept and heard of.
    """

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._since: dict[str, float] = {}
        controls.heard.append(self._hear)

    async def revoke(self, user_id: str, *, asked_by: str) -> Control:
        """Withdraw what a user was given up to now, on every node."""
        wish = Wish(
            kind=ControlKind.REVOKE,
            subject=user_id,
            asked_by=asked_by,
            seconds=HOLD_SECONDS,
        )
        return await self._controls.add(wish)

    def covers(self, user_id: str, issued_at: float | None) -> bool:
        """Whether a credential was withdrawn; one without a date counts as old.

        Tokens tell their date in whole seconds, cut off. So one that was made in the
        very second of the revocation looks older than it, and is refused: the user
        gets another a second later, while a withdrawn one never passes.
        """
        since = self._since.get(user_id)
        if since is None:
            return False
        return issued_at is None or issued_at <= since

    def _hear(self, control: Control) -> None:
        if control.kind is ControlKind.REVOKE:
            known = self._since.get(control.subject, control.at)
            self._since[control.subject] = max(known, control.at)
