"""Socket.IO on Node.js, the peer that the service is measured beside.

Its packages are installed by npm into a cache folder, once per version.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path

APIS = ("callback", "emitWithAck")
_SOURCE = Path(__file__).with_name("socketio_peer")
_CACHE = Path.home() / ".cache" / "event-service" / "bench"
_NPM = ("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent")
_INSTALL_SECONDS = 300


class PeerMissingError(Exception):
    """Node.js, npm or the peer's packages are not to be had here."""


def install() -> Path:
    """Return the folder where the peer runs, with its packages.

    Raises:
        PeerMissingError: says what is missing.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise PeerMissingError("node and npm are needed; or give --no-peer")
    digest = hashlib.sha256((_SOURCE / "package.json").read_bytes()).hexdigest()
    folder = _CACHE / f"socketio-{digest[:12]}"
    shutil.copytree(_SOURCE, folder, dirs_exist_ok=True)
    if not (folder / "node_modules" / "socket.io-client").is_dir():
        _npm_install(folder)
    return folder


def _npm_install(folder: Path) -> None:
    try:
        subprocess.run(
            [*_NPM, "--ignore-scripts"],
            cwd=folder,
            check=True,
            timeout=_INSTALL_SECONDS,
        )
    except (subprocess.SubprocessError, OSError) as exc:
        raise PeerMissingError(
            f"npm install failed ({exc}); or give --no-peer"
        ) from exc
