"""The stack files of this repository, read as the engine reads them."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from infra.config.model import STACKS, StackConfig
from infra.config.read import read_settings
from infra.errors import ConfigError, Fault, UnfilledError
from infra.rules import PLACEHOLDER

ROOT = Path(__file__).resolve().parents[2]


def load_stack(stack: str, *, root: Path = ROOT) -> StackConfig:
    """Read and check one stack's file.

    :raises ConfigError: naming every key that is missing, unknown or wrong.
    """
    return read_settings(
        stack, stack_settings(stack, root=root), source=f"Pulumi.{stack}.yaml"
    )


def engine_stack(
    stack: str, values: Mapping[str, str], *, root: Path = ROOT
) -> StackConfig:
    """Check what the engine passes for a stack that is about to be made.

    :raises ConfigError: naming every key that is missing, unknown or wrong.
    :raises UnfilledError: a placeholder is left where only a person can decide.
    """
    source = f"stack {stack}"
    config = read_settings(stack, values, source=source)
    if config.unfilled:
        raise UnfilledError(
            source=source, keys=config.unfilled, placeholder=PLACEHOLDER
        )
    _check_own_project(stack, values, root)
    return config


def stack_settings(stack: str, *, root: Path = ROOT) -> dict[str, str]:
    """Return a stack file's settings as the engine passes them: text, or JSON.

    :raises ConfigError: the file is no stack file, or shares another one's project.
    """
    settings = _settings(root / f"Pulumi.{stack}.yaml")
    _check_own_project(stack, settings, root)
    return settings


def _check_own_project(stack: str, settings: Mapping[str, str], root: Path) -> None:
    """Refuse a project that another stack has: physical names name no environment."""
    project = settings.get("gcp:project", PLACEHOLDER)
    for other in STACKS:
        path = root / f"Pulumi.{other}.yaml"
        if other == stack or project == PLACEHOLDER or not path.exists():
            continue
        if project == _settings(path).get("gcp:project"):
            fault = Fault(
                key="gcp:project",
                found=repr(project),
                allowed=f"a project of its own; {path.name} has this one",
            )
            raise ConfigError(source=f"Pulumi.{stack}.yaml", faults=[fault])


def _settings(path: Path) -> dict[str, str]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as fault:
        raise _no_stack_file(path, str(fault)) from fault
    settings = document.get("config") if isinstance(document, dict) else None
    if not isinstance(settings, dict):
        raise _no_stack_file(path, "no mapping `config`")
    return {
        str(key): _as_engine(value)
        for key, value in settings.items()
        if value is not None
    }


def _as_engine(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _no_stack_file(path: Path, found: str) -> ConfigError:
    fault = Fault(
        key="file", found=found, allowed="a stack file with a mapping `config`"
    )
    return ConfigError(source=path.name, faults=[fault])
