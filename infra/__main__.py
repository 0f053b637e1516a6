"""The infrastructure's program.

`python -m infra` checks and shows the settings of every stack. `pulumi up` runs the
same file and fails: there is nothing to make yet, and success would be a lie.
"""

import sys
from dataclasses import fields
from typing import TextIO

from infra.config import STACKS, StackConfig, load_stack
from infra.errors import ConfigError, InfraError, NothingToDeployError


def main(*, under_pulumi: bool, out: TextIO, err: TextIO) -> int:
    """Check every stack and show it; return the exit code."""
    try:
        stacks = _load_all()
        if under_pulumi:
            raise NothingToDeployError
    except InfraError as fault:
        err.write(f"{fault}\n")
        return 1
    for config in stacks:
        out.write(_shown(config))
    out.write("The settings are valid. Resources come in a later version.\n")
    return 0


def _load_all() -> list[StackConfig]:
    """Load every stack, or name the faults of all of them."""
    stacks, faults = [], []
    for stack in STACKS:
        try:
            stacks.append(load_stack(stack))
        except ConfigError as fault:
            faults.append(fault)
    if faults:
        raise InfraError("\n".join(map(str, faults)))
    return stacks


def _shown(config: StackConfig) -> str:
    rows = [
        f"  {field.name:34}{getattr(config, field.name)}\n"
        for field in fields(config)
        if field.name != "stack"
    ]
    missing = ", ".join(config.missing) or "nothing"
    return f"{config.stack}\n{''.join(rows)}  still to fill in: {missing}\n\n"


if __name__ == "__main__":
    # Pulumi's language host imports its SDK before it runs this file.
    sys.exit(main(under_pulumi="pulumi" in sys.modules, out=sys.stdout, err=sys.stderr))
