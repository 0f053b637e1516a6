"""Where leases lie: `gs://BUCKET[/FOLDER]` or `file:///DIRECTORY`, as `--lease` says.

The same address as Pulumi's state has (PULUMI_BACKEND_URL): the lease lies beside it,
at `leases/<environment>.json`.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ops.errors import UsageError
from ops.lease.objects import ObjectStore

_RULE = "--lease: must be gs://BUCKET[/FOLDER] or file:///DIRECTORY"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


def lease_name(environment: str) -> str:
    return f"leases/{environment}.json"


def decision_name(environment: str) -> str:
    return f"traffic/{environment}.json"


@contextmanager
def open_store(address: str, *, environment: str) -> Iterator[ObjectStore]:
    """Give the store at `address`; the lease's own address will do as well.

    :raises UsageError: it is no such address, or another environment's lease.
    """
    parts = urlsplit(address)
    root = _root(unquote(parts.path), address, environment)
    if parts.scheme == "gs" and _BUCKET.fullmatch(parts.netloc):
        with _bucket(parts.netloc, root.strip("/")) as store:
            yield store
    elif parts.scheme == "file":
        yield _folder(parts.netloc, root, address)
    else:
        raise UsageError(f"{_RULE}, got {address!r}")


def _root(path: str, address: str, environment: str) -> str:
    """Return what is left of the path without the lease's own name."""
    if not path.endswith(".json"):
        return path
    own = f"/{lease_name(environment)}"
    if not path.endswith(own):
        raise UsageError(
            f"--lease: the lease of --env {environment} is {own[1:]}, got {address!r}"
        )
    return path.removesuffix(own)


def _bucket(bucket: str, folder: str) -> AbstractContextManager[ObjectStore]:
    # Imported here: the library takes half a second, and `--help` needs none of it.
    from ops.lease.bucket_store import BucketStore  # noqa: PLC0415

    return BucketStore(bucket, prefix=f"{folder}/" if folder else "")


def _folder(host: str, path: str, address: str) -> ObjectStore:
    from ops.lease.folder_store import FolderStore  # noqa: PLC0415

    if host == "~":  # Pulumi's word for the home directory
        return FolderStore(Path.home() / path.strip("/"))
    if host or not path.startswith("/"):
        raise UsageError(f"{_RULE}, absolute; got {address!r}")
    return FolderStore(Path(path))
