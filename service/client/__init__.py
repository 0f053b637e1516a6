"""The Python client: `async with connect(url, handler=...) as client`."""

from service.client.client import Client, connect
from service.client.errors import ClientStoppedError, RefusedError
from service.client.stores import CursorStore, FileCursorStore, MemoryCursorStore
from service.core.device_frames import (
    Cursor,
    DeviceState,
    EphemeralFrame,
    EventFrame,
    ReportGap,
    ReportProblem,
    ReportSettled,
    StateChanged,
)

__all__ = [
    "Client",
    "ClientStoppedError",
    "Cursor",
    "CursorStore",
    "DeviceState",
    "EphemeralFrame",
    "EventFrame",
    "FileCursorStore",
    "MemoryCursorStore",
    "RefusedError",
    "ReportGap",
    "ReportProblem",
    "ReportSettled",
    "StateChanged",
    "connect",
]
