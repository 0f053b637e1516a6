"""Where figures come from: the machine by its kind, the programs by version."""

import importlib.metadata
import json
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("asyncpg", "msgspec", "picows", "uvicorn", "uvloop")


def machine() -> Mapping[str, object]:
    """Return what the machine is; neither its name nor any path."""
    return {
        "cores": psutil.cpu_count(),
        "model": _model(),
        "system": f"{platform.system()} {platform.machine()}",
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }


def versions(postgresql: str, peer: Path | None) -> Mapping[str, str]:
    """Return the versions of everything that was measured."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    found |= {"python": platform.python_version(), "postgresql": postgresql}
    if peer is not None:
        found["node"] = _said("node", "--version").removeprefix("v")
        found["socket.io"] = _npm_version(peer / "node_modules" / "socket.io")
    return found


def commit() -> str | None:
    """Return the commit that is checked out, with a mark if files were changed."""
    if shutil.which("git") is None:
        return None
    found = _said("git", "rev-parse", "HEAD")
    if not found:
        return None
    return found + ("+changes" if _said("git", "status", "--porcelain") else "")


def _model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def _npm_version(package: Path) -> str:
    return str(json.loads((package / "package.json").read_bytes())["version"])


def _said(*command: str) -> str:
    return _output(command).strip()


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""
