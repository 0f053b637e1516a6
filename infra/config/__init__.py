"""What one stack decides: read from the engine or from its file, checked as a whole."""

from infra.config.files import ROOT, engine_stack, load_stack, stack_settings
from infra.config.model import STACKS, StackConfig
from infra.config.read import read_settings
from infra.rules import PLACEHOLDER

__all__ = [
    "PLACEHOLDER",
    "ROOT",
    "STACKS",
    "StackConfig",
    "engine_stack",
    "load_stack",
    "read_settings",
    "stack_settings",
]
