"""Small descriptions of our own, for what Google describes nowhere we can read.

Each names its source. A value must match its pattern as a whole; a key that is not
here is a fault, and so is a required key that is missing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from infra.render.values import Json

_ROLE = r"(projects/[^/]+/|organizations/\d+/)?roles/[A-Za-z0-9_.]+"
_MEMBER = (
    r"(serviceAccount|user|group):[^@\s]+@[^@\s]+\.[a-z]+"
    r"|principal(Set)?://iam\.googleapis\.com/projects/\d+/locations/global/"
    r"workloadIdentityPools/[a-z0-9-]+/.+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Patterns by key, of the value as text (and as JSON for what is not single)."""

    source: str
    required: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)

    def faults(self, values: Mapping[str, Json]) -> Iterator[str]:
        """Yield what a value breaks."""
        patterns = {**self.required, **self.optional}
        for key in self.required.keys() - values.keys():
            yield f"{key}: is missing"
        for key, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value)
            if key not in patterns:
                yield f"{key}: is no field of this message"
            elif not re.fullmatch(patterns[key], text):
                yield f"{key}: must match {patterns[key]}, is {text!r}"


API = Own(
    source="https://cloud.google.com/service-usage/docs/reference/rest/v1/services",
    required={"service": r"[a-z]+\.googleapis\.com"},
    optional={"disableOnDestroy": "false", "disableDependentServices": "false"},
)
IDENTITY = Own(
    source="https://cloud.google.com/service-usage/docs/reference/rest/v1beta1/"
    "services/generateServiceIdentity",
    required={"service": r"[a-z]+\.googleapis\.com"},
)


def member(*own_keys: str) -> Own:
    """Return the shape of one member of one role on one resource."""
    return Own(
        source="https://cloud.google.com/iam/docs/reference/rest/v1/Policy",
        required={"role": _ROLE, "member": _MEMBER, **dict.fromkeys(own_keys, ".+")},
        optional={
            "condition": r"\{.*\"expression\": \".+\".*\}",
            "project": ".+",
            "location": "[a-z]+-[a-z]+[0-9]+",
        },
    )
