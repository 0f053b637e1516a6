"""Puts one stack together from its settings, from what all needs to what needs all."""

import pulumi
from pulumi.runtime.config import CONFIG

from infra.config import StackConfig, engine_stack
from infra.errors import InfraError
from infra.program.ground import declare_ground
from infra.program.outputs import all_outputs
from infra.program.serving import declare_hosts, declare_serving
from infra.program.watching import declare_watching
from service.contract import StackOutput


def up() -> None:
    """Declare the stack that the engine asks for.

    :raises pulumi.RunError: one message with every fault, shown without a stack trace.
    """
    try:
        declare(engine_stack(pulumi.get_stack(), CONFIG.get()))
    except InfraError as fault:
        raise pulumi.RunError(str(fault)) from None


def declare(config: StackConfig) -> None:
    """Declare everything that the settings describe, and every output.

    Without the images' digests there is no service, nor what stands before it or
    watches it; the rest is declared, and what is missing is said.
    """
    if config.missing:
        pulumi.log.warn("still to fill in: " + ", ".join(config.missing))
    ground = declare_ground(config)
    hosts = declare_hosts(config, ground)
    serving = declare_serving(config, ground, hosts)
    watching = declare_watching(config, ground, hosts, serving)
    outputs = all_outputs(config, ground, hosts, serving, watching)
    for output in StackOutput:
        pulumi.export(output.value, outputs[output])
