"""Objects in a bucket of Google Cloud Storage.

The library is slow to import, so only a command that needs a bucket imports this.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Self

from google.api_core.exceptions import (
    Forbidden,
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    RetryError,
    Unauthorized,
)
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage import Client  # type: ignore[import-untyped]
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]
from requests import RequestException, Response

from ops.errors import AccessError, UnavailableError, UsageError
from ops.lease.objects import ChangedError, Reading, Stored

_CALL_SECONDS = 5
# With a generation to match, a repeat changes nothing twice: it is refused.
_RETRY = DEFAULT_RETRY.with_timeout(6).with_delay(0.2, 2, 2)
_BOUNDS = {"timeout": _CALL_SECONDS, "retry": _RETRY}


class BucketStore:
    """Keeps each object below `prefix` in a bucket; one user at a time."""

    def __init__(self, bucket: str, *, prefix: str = "") -> None:
        self._name, self._prefix = bucket, prefix
        self._lock = threading.Lock()
        self._told_at: datetime | None = None
        with self._answered():
            # No project: a bucket's name is enough.
            self._client = Client(project=None)
            # The library shows no header of an answer, and the store's own time is
            # in one.
            self._client._http.hooks["response"].append(self._note)  # noqa: SLF001
        self._bucket = self._client.bucket(bucket)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read(self, name: str) -> Reading:
        with self._answered():
            while True:
                try:
                    return self._read(name)
                except (NotFound, PreconditionFailed):
                    continue  # replaced between its description and its content

    def write(self, name: str, data: bytes, *, generation: int) -> int:
        with self._answered():
            blob = self._bucket.blob(self._prefix + name)
            blob.upload_from_string(
                data,
                content_type="application/json",
                if_generation_match=generation,
                **_BOUNDS,
            )
            return int(blob.generation)

    def delete(self, name: str, *, generation: int) -> None:
        with self._answered():
            blob = self._bucket.blob(self._prefix + name)
            try:
                blob.delete(if_generation_match=generation, **_BOUNDS)
            except NotFound as fault:
                raise ChangedError(f"{self.locate(name)} is gone") from fault

    def locate(self, name: str) -> str:
        return f"gs://{self._name}/{self._prefix}{name}"

    def removal(self, name: str) -> str:
        return f"gcloud storage rm {self.locate(name)}"

    def _read(self, name: str) -> Reading:
        blob = self._bucket.get_blob(self._prefix + name, **_BOUNDS)
        stored = None
        if blob is not None:
            data = blob.download_as_bytes(
                if_generation_match=blob.generation, **_BOUNDS
            )
            stored = Stored(
                data=data,
                generation=int(blob.generation),
                updated_at=blob.updated,
            )
        if self._told_at is None:
            raise UnavailableError(f"gs://{self._name}: the answer told no time")
        return Reading(stored=stored, at=self._told_at)

    def _note(self, answer: Response, *_: object, **__: object) -> None:
        date = answer.headers.get("Date")
        self._told_at = parsedate_to_datetime(date) if date else None

    @contextmanager
    def _answered(self) -> Iterator[None]:
        """Hold the client alone, and say in our own words what went wrong."""
        where = f"--lease: gs://{self._name}"
        try:
            with self._lock:
                yield
        except PreconditionFailed as fault:
            raise ChangedError(f"{where}: changed by somebody else") from fault
        except NotFound as fault:
            raise UsageError(f"{where}: there is no such bucket") from fault
        except (Forbidden, Unauthorized) as fault:
            raise AccessError(f"{where}: not permitted: {fault.message}") from fault
        except (TransportError, RequestException, RetryError) as fault:
            raise UnavailableError(f"{where}: no answer: {fault}") from fault
        except GoogleAuthError as fault:
            raise AccessError(f"{where}: not logged in: {fault}") from fault
        except GoogleAPICallError as fault:
            raise UnavailableError(f"{where}: {fault.message}") from fault
