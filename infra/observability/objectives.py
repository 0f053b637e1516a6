"""The objectives' file, read the same way by everything that follows from it."""

from ops.slo import Alert, SloObject, alerts, load_objectives, slo_objects


def rules(environment: str) -> tuple[Alert, ...]:
    """Return every alert of an environment."""
    return alerts(load_objectives(), environment=environment)


def goals(environment: str) -> tuple[SloObject, ...]:
    """Return every objective of an environment."""
    return slo_objects(load_objectives(), environment=environment)
