"""The infrastructure's program.

`pulumi up` runs it and makes what the stack's settings describe. `python -m infra`
makes nothing: it checks the settings of every stack and shows them.
"""

import sys
from dataclasses import fields
from pathlib import Path
from typing import TextIO

# Pulumi runs this folder as a program, with the folder itself on the path: `import
# cache` of any library would find ours, and `import infra` might find nothing.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [
    str(_HERE.parent) if Path(entry).resolve() == _HERE else entry for entry in sys.path
]

from infra.config import (  # noqa: E402 -- see above
    ROOT,
    STACKS,
    StackConfig,
    load_stack,
)
from infra.errors import ConfigError, InfraError  # noqa: E402


def main(*, out: TextIO, err: TextIO, root: Path = ROOT) -> int:
    """Check every stack and show it; return the exit code."""
    try:
        stacks = _load_all(root)
    except InfraError as fault:
        err.write(f"{fault}\n")
        return 1
    for config in stacks:
        out.write(_shown(config))
    out.write("The settings are valid.\n")
    return 0


def _load_all(root: Path) -> list[StackConfig]:
    """Load every stack, or name the faults of all of them."""
    stacks, faults = [], []
    for stack in STACKS:
        try:
            stacks.append(load_stack(stack, root=root))
        except ConfigError as fault:
            faults.append(fault)
    if faults:
        raise InfraError("\n".join(map(str, faults)))
    return stacks


def _shown(config: StackConfig) -> str:
    rows = [
        f"  {field.name:28}{_words(getattr(config, field.name))}\n"
        for field in fields(config)
        if field.name not in ("environment", "unfilled")
    ]
    missing = ", ".join(config.missing) or "nothing"
    return f"{config.environment}\n{''.join(rows)}  still to fill in: {missing}\n\n"


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value) or "none"


if __name__ == "__main__":
    # Pulumi's language host imports its SDK before it runs this file.
    if "pulumi" in sys.modules:
        from infra.program import up

        up()
    else:
        sys.exit(main(out=sys.stdout, err=sys.stderr))
