"""Traffic of a service: which revision gets how much of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LATEST = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficTarget:
    """A revision, its percent and its tag. LATEST is whichever is ready last."""

    percent: int
    revision: str = LATEST
    tag: str = ""

    @property
    def is_latest(self) -> bool:
        return self.revision == LATEST

    def __str__(self) -> str:
        tag = f" ({self.tag})" if self.tag else ""
        return f"{self.revision or 'LATEST'} {self.percent} %{tag}"


Targets = tuple[TrafficTarget, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What the platform says of a service's traffic, all read at one moment."""

    uid: str  # another one after the service was replaced
    etag: str
    targets: Targets  # what was asked for
    serving: Targets  # what is so
    latest_created: str
    latest_ready: str
    settled: bool  # the platform works on nothing any more

    @property
    def unserved(self) -> str:
        """The newest revision, if it gets no traffic; else nothing."""
        newest = self.latest_created
        return "" if newest in {"", *self._revisions_served()} else newest

    def _revisions_served(self) -> set[str]:
        shares = _shares(self.targets)
        latest = {self.latest_ready} if LATEST in shares else set()
        return latest | set(shares)


def same_route(one: Targets, other: Targets) -> bool:
    """Whether both send the same shares, and the same tags, to the same revisions."""
    return _shares(one) == _shares(other) and _tags(one) == _tags(other)


def names_latest(targets: Targets) -> bool:
    """Whether a new revision would get traffic, or a tag, by being the newest."""
    return any(target.is_latest for target in targets)


def pinned(targets: Targets, revision: str) -> Targets:
    """Return the same targets with `revision` in the place of LATEST."""
    shares: Counter[tuple[str, str]] = Counter()
    for one in targets:
        shares[one.revision or revision, one.tag] += one.percent
    return tuple(
        TrafficTarget(percent=percent, revision=name, tag=tag)
        for (name, tag), percent in shares.items()
    )


def in_words(targets: Iterable[TrafficTarget]) -> str:
    return ", ".join(map(str, targets)) or "none"


def _shares(targets: Targets) -> Mapping[str, int]:
    shares: Counter[str] = Counter()
    for target in targets:
        shares[target.revision] += target.percent
    return {revision: percent for revision, percent in shares.items() if percent}


def _tags(targets: Targets) -> Mapping[str, str]:
    return {target.tag: target.revision for target in targets if target.tag}
