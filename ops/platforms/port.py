"""The port to a platform that runs the service."""

from typing import Protocol

from ops.target.traffic import Targets, Traffic


class Platform(Protocol):
    """One service on one platform; every call answers in bounded time.

    All calls raise `AccessError` if they are not permitted and `UnavailableError` if
    the platform does not answer.
    """

    def read_traffic(self) -> Traffic | None:
        """Return the service's traffic; None if there is no such service."""
        ...

    def write_traffic(self, targets: Targets, *, etag: str) -> None:
        """Replace the traffic, and nothing else, of the service as it was read.

        Returns when the platform has done so, which is no proof: read it back.

        :raises ConflictError: the service was changed since; read, and decide again.
        """
        ...
