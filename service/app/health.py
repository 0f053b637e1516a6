"""What the service depends on, and whether it answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One dependency's health. `detail` is for operators, never for the public.

    One that is not `required` costs only latency when it is away.
    """

    ok: bool
    detail: str
    latency_seconds: float | None = None
    required: bool = True
