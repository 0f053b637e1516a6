"""The objectives, as the file says them (docs/objectives.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ops.slo.outputs import Need, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Series of one metric: those whose labels have one of these values."""

    metric: str
    equals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    series: str = ""  # of a distribution: bucket, count or sum

    def without(self, part: "Selector") -> "Selector | None":
        """Return what is left beside a part that this holds; None for nothing."""
        for label, values in self.equals.items():
            left = tuple(one for one in values if one not in part.equals[label])
            if left:
                return Selector(
                    metric=self.metric,
                    equals={**self.equals, label: left},
                    series=self.series,
                )
        return None

    def holds(self, other: "Selector") -> bool:
        """Whether `other` is part of this, and differs in one label at most."""
        if (self.metric, self.series) != (other.metric, other.series):
            return False
        if self.equals.keys() != other.equals.keys():
            return False
        labels = [key for key in self.equals if self.equals[key] != other.equals[key]]
        return len(labels) <= 1 and all(
            set(other.equals[key]) < set(self.equals[key]) for key in labels
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sli:
    """Good ones among valid ones, counted in units."""

    unit: str
    good: tuple[Selector, ...]
    valid: tuple[Selector, ...]

    @property
    def bad(self) -> tuple[Selector, ...]:
        """What is valid and not good."""
        left: list[Selector] = []
        for valid in self.valid:
            good = next((one for one in self.good if valid.holds(one)), None)
            rest = valid if good is None else valid.without(good)
            if rest is not None:
                left.append(rest)
        return tuple(left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One promise, its target per environment, and how a release is judged by it."""

    id: str
    title: str
    targets: Mapping[str, Decimal]  # environment → ratio
    sli: Sli
    judge: Sli
    summary: str  # of its alerts
    runbook: str
    needs: Need


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An alert that no objective yields: a symptom's page or a cause's ticket."""

    name: str
    severity: Severity
    summary: str
    runbook: str
    needs: Need
    selectors: Mapping[str, Selector]
    expr: str  # PromQL with $name for a selector or a limit
    for_seconds: int
    interval_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """The whole file."""

    window_days: int
    limits: Mapping[str, Mapping[str, Decimal]]  # environment → name → value
    objectives: tuple[Objective, ...]
    rules: tuple[Rule, ...]

    @property
    def environments(self) -> tuple[str, ...]:
        return tuple(self.limits)
