"""`ops --help` answers at once."""

import subprocess
import sys

_SLOW = ("google", "grpc", "httpx", "requests", "rich", "yaml")


def test_a_command_imports_what_it_needs_when_it_runs() -> None:
    """What takes long to import waits for the command that needs it."""
    script = (
        "import sys, ops.cli;"
        f"print([name for name in {_SLOW!r} if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "[]\n" == said.stdout
