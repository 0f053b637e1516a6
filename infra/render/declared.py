"""Renders this repository's program."""

from infra.config import StackConfig
from infra.program import declare
from infra.render.graph import Graph
from infra.render.run import run
from infra.render.settings import Settings


def declared(config: StackConfig, *, settings: Settings, known: bool) -> Graph:
    """Return all that `pulumi up` with these settings would ask the cloud for."""
    return run(
        lambda: declare(config),
        stack=config.environment,
        settings=settings,
        known=known,
    )
