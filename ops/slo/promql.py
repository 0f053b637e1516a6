"""PromQL from selectors, in the forms that Cloud Monitoring and promtool share."""

from collections.abc import Iterable, Mapping
from string import Template

from ops.slo.known_metrics import resource_of
from ops.slo.model import Selector


def duration(seconds: int) -> str:
    """Return a duration in the largest unit that has it whole."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def selector(one: Selector) -> str:
    """Return a selector; names that Prometheus would not take go into the braces.

    Platform metrics say which resource they are meant on: where several have the
    metric, a query without it is refused.
    """
    matchers = [_matcher(label, values) for label, values in one.equals.items()]
    return _vector(one, matchers)


def series(one: Selector, labels: Mapping[str, str]) -> str:
    """Return one series that the selector selects, with further labels."""
    own = {label: values[0] for label, values in one.equals.items()}
    return _vector(one, [f'{key}="{text}"' for key, text in {**own, **labels}.items()])


def increase(selectors: Iterable[Selector], seconds: int) -> str:
    """Return by how much counters rose together; 0 where there are none yet.

    Each series' resets are its own, so the sum is over increases. Series of instances
    that have ended count for as long as the window reaches them.
    """
    window = duration(seconds)
    sums = [
        f"(sum(increase({selector(one)}[{window}])) or vector(0))" for one in selectors
    ]
    return sums[0] if len(sums) == 1 else f"({' + '.join(sums)})"


def filled(expr: str, values: Mapping[str, str]) -> str:
    """Put selectors and limits in the place of their $names."""
    return " ".join(Template(expr).substitute(values).split())


def _vector(one: Selector, matchers: list[str]) -> str:
    name = f"{one.metric}_{one.series}" if one.series else one.metric
    resource = resource_of(one.metric)
    if resource is None:
        return f"{name}{{{','.join(matchers)}}}" if matchers else name
    return (
        "{"
        + ",".join(
            [f'__name__="{name}"', f'monitored_resource="{resource}"', *matchers]
        )
        + "}"
    )


def _matcher(label: str, values: tuple[str, ...]) -> str:
    if len(values) == 1:
        return f'{label}="{values[0]}"'
    return f'{label}=~"{"|".join(values)}"'
