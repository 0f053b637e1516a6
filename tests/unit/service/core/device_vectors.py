"""Reads `tests/vectors/*.json` and runs a script on the Python machine."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from service.core.device import Device
from service.core.device_frames import Actions, Cursor, GarbledError, parse

FOLDER = Path(__file__).parents[3] / "vectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One script of one file. Steps stay plain JSON: both languages read them so."""

    name: str
    device: dict[str, Any]
    steps: list[dict[str, Any]]


def scripts() -> Iterator[Script]:
    for path in sorted(FOLDER.glob("*.json")):
        for script in json.loads(path.read_text()):
            yield Script(
                name=f"{path.stem}: {script['promise']}",
                device=script["device"],
                steps=script["steps"],
            )


def new_device(options: dict[str, Any]) -> Device:
    cursor = options.get("cursor")
    return Device(
        **options | {"cursor": msgspec.convert(cursor, Cursor) if cursor else None}
    )


def run_step(device: Device, step: dict[str, Any]) -> dict[str, Any]:
    """Return what the step's expectations are compared with, as JSON has it."""
    actions = _feed(device, step["in"], step["at"])
    actual = {
        "out": [_plain(msgspec.to_builtins(action)) for action in actions],
        "cursor": msgspec.to_builtins(device.cursor),
        "state": device.state.value,
        "tick": device.next_tick(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(actual))
    return plain


def _feed(device: Device, given: dict[str, Any], now: float) -> Actions:
    ((name, value),) = given.items()
    match name:
        case "frame":
            return _message(device, json.dumps(value), now)
        case "message":
            return _message(device, value, now)
        case "pause":
            device.pause()
            return []
        case "opened" | "closed" | "handled" | "refused" | "tick":
            return _call(device, name, value | {"now": now})
        case _:
            return _call(device, name, value)


def _call(device: Device, name: str, arguments: dict[str, Any]) -> Actions:
    actions: Actions = getattr(device, name)(**arguments)
    return actions


def _message(device: Device, text: str, now: float) -> Actions:
    try:
        frames = parse(text)
    except GarbledError:
        return device.garbled()
    return [action for frame in frames for action in device.receive(frame, now=now)]


def _plain(action: dict[str, Any]) -> dict[str, Any]:
    match action["do"]:
        case "handle":
            event = action["event"]
            return {
                "do": "handle",
                "seq": event["seq"],
                "attempt": event.get("attempt", 1),
            }
        case "ephemeral":
            return {"do": "ephemeral", "type": action["event"]["type"]}
        case _:
            return action
