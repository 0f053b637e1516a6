"""The secret that signs tokens on a developer's machine, kept in the data folder."""

import secrets
from pathlib import Path

_FILE = "auth_secret"


def local_secret(data_dir: Path) -> str:
    """Return the secret of a data folder, made when it is missing (mode 0600)."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / _FILE
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text().strip()
