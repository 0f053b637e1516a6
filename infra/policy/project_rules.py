"""Rules about the project file: what no resource shows."""

from collections.abc import Iterator
from pathlib import Path

import yaml


def refresh_faults(path: Path) -> Iterator[str]:
    """Yield why an `up` might write back traffic that ops has moved since."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = (document.get("options") or {}).get("refresh")
    if found != "always":
        yield f"{path.name}: options.refresh is {found!r}, not 'always'"
