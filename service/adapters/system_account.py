"""Whom PostgreSQL runs as, when we are root: it refuses to run as root itself.

An ordinary user runs it as itself, and nothing here applies. Root runs it as the
owner of an existing cluster, or as the system user `pgserver`, which is made once.
That user must pass through every folder above the software and the data. Where a
folder does not let it, this user alone is let through by an access control entry;
only a file system without such entries gets the search bit for everybody. Nothing
is ever made readable above the cluster's own folder.
"""

import os
import pwd
import shutil
import stat
import struct
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.errors import UnavailableError

NAME = "pgserver"
_ACL = "system.posix_acl_access"
_ACL_VERSION = struct.Struct("<I")
_ACL_ENTRY = struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_SEARCH = 1
_NO_ID = 0xFFFFFFFF
_ROUNDS = 3  # another program may change the same folders at the same time


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user and its group; commands run as it, folders belong to it."""

    user_id: int
    group_id: int

    def may_enter(self, folder: Path) -> bool:
        """Say whether the account can make this folder its working directory."""
        entered = subprocess.run(  # noqa: S603 -- constant program, path as argument
            ["/bin/sh", "-c", 'cd "$0"', str(folder)],
            user=self.user_id,
            group=self.group_id,
            extra_groups=[],
            cwd="/",
            check=False,
            capture_output=True,
        )
        return entered.returncode == 0


def account_for(cluster: Path) -> Account | None:
    """Return whom to run the server as; None means as ourselves."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and cluster.stat().st_uid != 0:
        found = cluster.stat()
        return Account(user_id=found.st_uid, group_id=found.st_gid)
    entry = _system_user()
    return Account(user_id=entry.pw_uid, group_id=entry.pw_gid)


def _system_user() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(NAME)
    # Root's PATH may lack the folders of system commands (after a plain `su`).
    useradd = shutil.which("useradd", path=f"{os.defpath}:/usr/sbin:/sbin")
    command = [useradd or "useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", NAME]
    detail = "useradd is missing"
    with suppress(FileNotFoundError):
        made = subprocess.run(  # noqa: S603 -- constant arguments
            command, check=False, capture_output=True, text=True
        )
        detail = made.stderr.strip()
    # Looked up even after a failure: another process may have made it just now.
    with suppress(KeyError):
        return pwd.getpwnam(NAME)
    raise UnavailableError(
        "PostgreSQL does not run as root, and the system user "
        f"{NAME!r} could not be made ({detail}). "
        "Run as an ordinary user, or set DATABASE_URL to a running server."
    )


def let_through(account: Account, folder: Path) -> None:
    """Let the account pass through to the folder, changing as little as possible."""
    for _ in range(_ROUNDS):
        if account.may_enter(folder):
            return
        for step in [*reversed(folder.parents), folder]:
            if not account.may_enter(step):
                _grant_search(account, step)
    if not account.may_enter(folder):
        raise UnavailableError(
            "PostgreSQL does not run as root, and its system user "
            f"{NAME!r} cannot enter {folder}. Choose another folder, "
            "run as an ordinary user, or set DATABASE_URL to a running server."
        )


def let_read(account: Account, package: Path, program: Path) -> None:
    """Let the account run software that a strict umask kept for root alone."""
    let_through(account, package)
    public = stat.S_IROTH | stat.S_IXOTH
    if program.stat().st_mode & public == public and account.may_enter(program.parent):
        return
    for path in [package, *package.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & stat.S_IXUSR else 0o044))


def _grant_search(account: Account, folder: Path) -> None:
    try:
        _grant_search_to_one(account, folder)
    except (AttributeError, OSError):  # no such entries: this file system, or macOS
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)


def _grant_search_to_one(account: Account, folder: Path) -> None:
    """Add an entry to the folder's access control list (format: acl(5), xattr)."""
    entries = _entries(folder)
    mine = (_USER, account.user_id)
    entries[mine] = entries.get(mine, 0) | _SEARCH
    group = entries[_GROUP_OBJ, _NO_ID]
    entries[_MASK, _NO_ID] = entries.get((_MASK, _NO_ID), group) | _SEARCH
    packed = b"".join(
        _ACL_ENTRY.pack(tag, rights, id)
        for (tag, id), rights in sorted(entries.items())
    )
    os.setxattr(folder, _ACL, _ACL_VERSION.pack(2) + packed)


def _entries(folder: Path) -> dict[tuple[int, int], int]:
    mode = folder.stat().st_mode  # first: a list shows its mask where the group is
    try:
        stored = os.getxattr(folder, _ACL)
    except OSError:
        return {
            (_USER_OBJ, _NO_ID): mode >> 6 & 7,
            (_GROUP_OBJ, _NO_ID): mode >> 3 & 7,
            (_OTHER, _NO_ID): mode & 7,
        }
    rows = _ACL_ENTRY.iter_unpack(stored[_ACL_VERSION.size :])
    return {(tag, id): rights for tag, rights, id in rows}
