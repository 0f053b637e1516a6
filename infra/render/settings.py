"""A stack's settings for a render: from its file, changed, and filled in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.config import PLACEHOLDER, STACKS, stack_settings
from infra.errors import ConfigError, Fault

# Where a person has not decided yet, a render shows the whole tree with these. They
# name nothing that exists (the hosts are RFC 2606's) and never leave a render.
_PLACEHOLDERS = {
    "gcp:project": "stand-in-{stack}",
    "event-service:domain": "events.{stack}.example.com",
    "event-service:alertEmail": "alerts@example.com",
    "event-service:pagingChannel": "projects/stand-in-{stack}/notificationChannels/1",
    "event-service:repositoryId": "1",
    "event-service:repositoryOwnerId": "2",
    "event-service:billingAccount": "000000-000000-000000",
}
# Empty until the first push; every other empty value is a decision.
_DIGESTS = {
    "event-service:imageDigest": "sha256:" + "a" * 64,
    "event-service:sidecarDigest": "sha256:" + "b" * 64,
}
_HIDDEN = "stands-in-for-a-secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Text by key, as the engine passes it, and which keys it keeps secret."""

    values: Mapping[str, str]
    secret_keys: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()


def settings_for(
    stack: str, *, root: Path, overrides: Mapping[str, str], image: bool
) -> Settings:
    """Return what a stack's file says, with some values replaced.

    What is not filled in yet is stood in for; digests only with `image`. Encrypted
    values are not decrypted but replaced.

    :raises ConfigError: there is no such stack, or its file is none.
    """
    if stack not in STACKS:
        fault = Fault(key="stack", found=repr(stack), allowed=" or ".join(STACKS))
        raise ConfigError(source="--stack", faults=[fault])
    values = stack_settings(stack, root=root) | dict(overrides)
    secret = tuple(key for key in sorted(values) if _is_encrypted(values[key]))
    values |= dict.fromkeys(secret, _HIDDEN)
    replaced = _stood_in(stack, values, image=image)
    return Settings(
        values=values | replaced,
        secret_keys=secret,
        stand_ins=tuple(sorted(replaced)),
    )


def _stood_in(stack: str, values: Mapping[str, str], *, image: bool) -> dict[str, str]:
    decisions = {
        key: text.format(stack=stack)
        for key, text in _PLACEHOLDERS.items()
        if values.get(key) == PLACEHOLDER
    }
    digests = {key: text for key, text in _DIGESTS.items() if not values.get(key)}
    return decisions | (digests if image else {})


def _is_encrypted(value: str) -> bool:
    if not value.startswith("{"):
        return False
    try:
        return set(json.loads(value)) == {"secure"}
    except ValueError:
        return False
