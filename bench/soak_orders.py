"""What the processes of a soak tell each other, one JSON object a line."""

from collections.abc import Mapping, Sequence

import msgspec


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One place among the sessions: who sits there first, and by which way."""

    number: int
    user_id: str
    url: str
    rough: bool  # by the fault injector


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one client process does."""

    seed: int
    seconds: float
    places: Sequence[Place]
    tokens: Mapping[str, str]
    sweeper_url: str
    sweeps: Sequence[str]  # users whom this process sees through to the end


class Heads(msgspec.Struct, frozen=True, kw_only=True):
    """How far every stream goes, when nothing is published any more."""

    heads: Mapping[str, int]


class ClientReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the devices of one process saw."""

    devices: int
    lives: int
    handled: int
    failures: int  # handlers that raised on purpose
    declared: int  # seqs that ended otherwise, or were pruned before
    stops: Mapping[str, int]  # close codes that stopped a client, by way
    leavings: Mapping[str, int]
    violations: Sequence[str]
