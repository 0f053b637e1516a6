"""What an upgrade request passes before it becomes a socket."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from multidict import CIMultiDict
from picows import WSUpgradeRequest

from service.app.admission import Admission, Seat
from service.contract import Path
from service.core.limits import Identity
from service.errors import PermissionDeniedError
from service.transport.peer import client_address

MOVE = "move"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A connection that passed.

    Attributes:
        credential: Who its Authorization header proves it to be, if it has one.
        origin: The page it comes from, if from a page.
        seat: Its place; whoever holds it must leave it.
    """

    credential: Identity | None
    origin: str | None
    seat: Seat


class Gate:
    """Decides before the upgrade: path, Host, Origin, credential, room.

    Args:
        allowed_hosts: Exact values of the Host header.
        allowed_origins: Exact values of Origin; no Origin means: not a browser.
        identify: Turns an Authorization header into an identity.
        admission: Whether there is room for one more connection.
        trusted_proxies: How many entries of X-Forwarded-For to believe.
    """

    def __init__(
        self,
        *,
        allowed_hosts: frozenset[str],
        allowed_origins: frozenset[str],
        identify: Callable[[str], Identity],
        admission: Admission,
        trusted_proxies: int,
    ) -> None:
        self._hosts = allowed_hosts
        self._origins = allowed_origins
        self._identify = identify
        self._admission = admission
        self._trusted_proxies = trusted_proxies

    def check(self, request: WSUpgradeRequest, peer: str) -> Arrival:
        """Let an upgrade request pass, or raise.

        Nothing here may wait: the answer is due within this call. So a token whose
        key is unknown is answered 503 while the keys are fetched, and 401 only when
        it is certain that there is no such key: a client that tries again after 503
        is let in, while 401 would tell it to give its credential up.

        Args:
            request: The request.
            peer: The address of the other end.

        Raises:
            PermissionDeniedError: wrong path, Host or Origin.
            AuthenticationError: an Authorization header that does not hold.
            UnavailableError: no room, or no keys.
        """
        headers: CIMultiDict[str] = request.headers
        path, _, query = request.path.decode("latin-1").partition("?")
        if path != Path.SOCKET:
            raise PermissionDeniedError(f"path: sockets are at {Path.SOCKET}")
        hosts, origins = headers.getall("Host", []), headers.getall("Origin", [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            raise PermissionDeniedError("Host: not one of this service")
        if len(origins) > 1 or not self._origins.issuperset(origins):
            raise PermissionDeniedError("Origin: not allowed")
        authorization = headers.get("Authorization")
        credential = None if authorization is None else self._identify(authorization)
        address = client_address(
            peer,
            headers.getall("X-Forwarded-For", []),
            trusted_proxies=self._trusted_proxies,
        )
        seat = self._admission.enter(
            address,
            proven=credential is not None,
            moves=parse_qs(query).get(MOVE) == ["1"],
        )
        origin = origins[0] if origins else None
        return Arrival(credential=credential, origin=origin, seat=seat)
