"""What Google refuses, as far as a wrong order or a wrong setting meets it.

Each rule looks at everything there is and at what is asked for, and says why not.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.engine.cloud import Document
from tests.engine.provider.values import Properties

Rule = Callable[[Document, Properties], str | None]

SERVICE = "gcp:cloudrunv2/service:Service"
JOB = "gcp:cloudrunv2/job:Job"
API = "gcp:projects/service:Service"
NETWORK = "gcp:compute/network:Network"
SUBNET = "gcp:compute/subnetwork:Subnetwork"
ADDRESS = "gcp:compute/globalAddress:GlobalAddress"
PEERING = "gcp:servicenetworking/connection:Connection"
DATABASE = "gcp:sql/databaseInstance:DatabaseInstance"
VALKEY = "gcp:memorystore/instance:Instance"
POLICY = "gcp:networkconnectivity/serviceConnectionPolicy:ServiceConnectionPolicy"
ACCOUNT = "gcp:serviceaccount/account:Account"
SECRET = "gcp:secretmanager/secret:Secret"
READER = "gcp:secretmanager/secretIamMember:SecretIamMember"

# Each is on from a project's first day, by hand (docs/operations.md).
FIRST_APIS = ("cloudresourcemanager", "serviceusage")
_APIS = {
    "artifactregistry": "artifactregistry",
    "billing": "billingbudgets",
    "cloudrunv2": "run",
    "compute": "compute",
    "iam": "iam",
    "logging": "logging",
    "memorystore": "memorystore",
    "monitoring": "monitoring",
    "networkconnectivity": "networkconnectivity",
    "projects": "cloudresourcemanager",
    "secretmanager": "secretmanager",
    "serviceaccount": "iam",
    "servicenetworking": "servicenetworking",
    "sql": "sqladmin",
    "storage": "storage",
}
_COMPUTE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def refused_creation(document: Document, token: str, asked: Properties) -> str | None:
    """Say why this cannot be made now, or nothing."""
    module = token.split(":")[1].partition("/")[0]
    if token != API and not _is_on(document, _APIS[module]):
        return f"403: {_APIS[module]}.googleapis.com has not been used or is disabled"
    name = asked.get("name", "")
    if module == "compute" and not _COMPUTE_NAME.fullmatch(str(name)):
        return f"400: name: {name!r} must be 1-63 characters of [-a-z0-9]"
    return _first(_CREATIONS, document, token, asked)


def refused_deletion(document: Document, token: str, there: Properties) -> str | None:
    """Say why this cannot be deleted now, or nothing."""
    for switch in _LOCKS.get(token, ()):
        if _at(there, switch, default=switch in _ON_BY_DEFAULT):
            return f"cannot destroy {token} without setting {switch}=false"
    if there.get("deletionPolicy") == "PREVENT":
        return f"cannot destroy {token}: deletion_policy is PREVENT"
    return _first(_DELETIONS, document, token, there)


def made(document: Document, token: str) -> Iterator[Properties]:
    """Yield the outputs of everything there is of a type."""
    for one in document["resources"].values():
        if one["type"] == token:
            yield {"id": one["id"], **one["outputs"]}


_ON_BY_DEFAULT = ("deletionProtection", "deletionProtectionEnabled")
_LOCKS: Mapping[str, tuple[str, ...]] = {
    SERVICE: ("deletionProtection",),
    JOB: ("deletionProtection",),
    DATABASE: ("deletionProtection", "settings.deletionProtectionEnabled"),
    VALKEY: ("deletionProtectionEnabled",),
}


def _first(
    rules: Mapping[str, tuple[Rule, ...]],
    document: Document,
    token: str,
    properties: Properties,
) -> str | None:
    found = (rule(document, properties) for rule in rules.get(token, ()))
    return next((said for said in found if said), None)


def _is_on(document: Document, api: str) -> bool:
    return api in FIRST_APIS or f"{api}.googleapis.com" in document.get("apis", ())


def _at(properties: Properties, path: str, *, default: object = None) -> Any:  # noqa: ANN401 -- JSON
    value: Any = properties
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return default if "." not in path else None
        value = value[key]
    return value


def _same(one: object, other: object) -> bool:
    """Whether two references mean one thing: ids, self links and names all occur."""
    return (
        bool(one and other)
        and str(one).rpartition("/")[2] == str(other).rpartition("/")[2]
    )


def _needs_peering(document: Document, asked: Properties) -> str | None:
    network = _at(asked, "settings.ipConfiguration.privateNetwork")
    peerings = made(document, PEERING)
    if network and not any(_same(one.get("network"), network) for one in peerings):
        return "400: NETWORK_NOT_PEERED: the network has no private services connection"
    return None


def _needs_policy(document: Document, asked: Properties) -> str | None:
    networks = [one["network"] for one in asked.get("desiredAutoCreatedEndpoints", ())]
    allowed = [one.get("network") for one in made(document, POLICY)]
    if all(any(_same(one, policy) for policy in allowed) for one in networks):
        return None
    return "400: no service connection policy for gcp-memorystore in the network"


def _needs_account(document: Document, asked: Properties) -> str | None:
    email = _account_of(asked)
    if any(one.get("email") == email for one in made(document, ACCOUNT)):
        return None
    return f"400: service account {email} does not exist"


def _needs_readable_secrets(document: Document, asked: Properties) -> str | None:
    email = _account_of(asked)
    may_read = [
        one["secretId"]
        for one in made(document, READER)
        if one.get("member") == f"serviceAccount:{email}"
    ]
    for secret in _secrets_of(asked):
        if not any(_same(secret, one) for one in may_read):
            return f"400: permission denied on secret {secret} for {email}"
    return None


def _needs_subnet(document: Document, asked: Properties) -> str | None:
    there = [one["id"] for one in made(document, SUBNET)]
    for subnet in _subnets_of(asked):
        if not any(_same(subnet, one) for one in there):
            return f"400: subnetwork {subnet} does not exist"
    return None


def _used_by_databases(document: Document, peering: Properties) -> str | None:
    users = [
        one
        for one in made(document, DATABASE)
        if _same(
            _at(one, "settings.ipConfiguration.privateNetwork"), peering["network"]
        )
    ]
    if users or peering.get("deletionPolicy") != "REMOVE_PEERING":
        return (
            "400: failed to delete connection: producer services (e.g. Cloud SQL) are"
            " still using this connection"
        )
    return None


def _used_by_instances(document: Document, subnet: Properties) -> str | None:
    for token in (SERVICE, JOB):
        for one in made(document, token):
            if any(_same(subnet["id"], used) for used in _subnets_of(one)):
                return f"400: resourceInUseByAnotherResource: {subnet['id']}"
    for one in made(document, POLICY):
        if any(_same(subnet["id"], used) for used in one["pscConfig"]["subnetworks"]):
            return f"400: resourceInUseByAnotherResource: {subnet['id']}"
    return None


def _used_by_peerings(document: Document, address: Properties) -> str | None:
    for one in made(document, PEERING):
        if address["name"] in one["reservedPeeringRanges"]:
            return f"400: resourceInUseByAnotherResource: {address['id']}"
    return None


def _used_by_caches(document: Document, policy: Properties) -> str | None:
    for one in made(document, VALKEY):
        for endpoint in one.get("desiredAutoCreatedEndpoints", ()):
            if _same(endpoint["network"], policy["network"]):
                return f"400: the policy is in use by {one['id']}"
    return None


def _used_at_all(document: Document, network: Properties) -> str | None:
    for token in (SUBNET, ADDRESS, PEERING, POLICY):
        for one in made(document, token):
            if _same(one.get("network"), network["id"]):
                return f"400: resourceInUseByAnotherResource: {one['id']}"
    return None


def _account_of(asked: Properties) -> str:
    template = asked.get("template") or {}
    inner = template.get("template") or template
    return str(inner.get("serviceAccount", ""))


def _subnets_of(asked: Properties) -> list[str]:
    template = asked.get("template") or {}
    access = (template.get("template") or template).get("vpcAccess") or {}
    return [one["subnetwork"] for one in access.get("networkInterfaces", ())]


def _secrets_of(asked: Properties) -> list[str]:
    template = asked.get("template") or {}
    containers = (template.get("template") or template).get("containers", ())
    sources = [
        env.get("valueSource") or {}
        for one in containers
        for env in one.get("envs", ())
    ]
    return [one["secretKeyRef"]["secret"] for one in sources if "secretKeyRef" in one]


_RUNS = (_needs_account, _needs_readable_secrets, _needs_subnet)
_CREATIONS: Mapping[str, tuple[Rule, ...]] = {
    DATABASE: (_needs_peering,),
    VALKEY: (_needs_policy,),
    SERVICE: _RUNS,
    JOB: _RUNS,
}
_DELETIONS: Mapping[str, tuple[Rule, ...]] = {
    PEERING: (_used_by_databases,),
    SUBNET: (_used_by_instances,),
    ADDRESS: (_used_by_peerings,),
    POLICY: (_used_by_caches,),
    NETWORK: (_used_at_all,),
}
