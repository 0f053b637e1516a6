"""Rules about who may do what."""

import re
from collections.abc import Iterator

from infra.policy.rule import Rule, Shown

_BROAD = frozenset(
    {
        "roles/owner",
        "roles/editor",
        "roles/viewer",
        "roles/iam.securityAdmin",
        "roles/iam.serviceAccountKeyAdmin",
    }
)
# Fine on one account or one secret; on a project they reach every one of them.
_BROAD_ON_A_PROJECT = frozenset(
    {
        "roles/iam.serviceAccountTokenCreator",
        "roles/iam.serviceAccountUser",
        "roles/iam.workloadIdentityUser",
        "roles/secretmanager.admin",
        "roles/secretmanager.secretAccessor",
    }
)
_EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_DEFAULT_ACCOUNTS = (
    "-compute@developer.gserviceaccount.com",
    "@appspot.gserviceaccount.com",
)
_PROJECT_MEMBER = "gcp:projects/iAMMember:IAMMember"
_MEMBER = re.compile(r"gcp:.+:[A-Za-z]*I[Aa][Mm]Member")
_AUTHORITATIVE = re.compile(r"gcp:.+:[A-Za-z]*I[Aa][Mm](Binding|Policy)")
PROVIDER = "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider"
_KEY = "gcp:serviceaccount/key:Key"


def _least(shown: Shown) -> Iterator[str]:
    if not _MEMBER.fullmatch(shown.type):
        return
    role, member = str(shown.at("role")), str(shown.at("member"))
    if role in _BROAD:
        yield f"{role} is far more than anything here needs"
    if shown.type == _PROJECT_MEMBER and role in _BROAD_ON_A_PROJECT:
        yield f"{role} on a whole project; grant it on the one resource"
    if member in _EVERYBODY:
        yield f"grants {role} to {member}"
    if member.endswith(_DEFAULT_ACCOUNTS):
        yield f"grants {role} to a default account"


def _adds_only(shown: Shown) -> Iterator[str]:
    # An organisation's own audit sinks and break-glass grants must survive an `up`.
    if _AUTHORITATIVE.fullmatch(shown.type):
        yield f"{shown.type} takes grants away that others made; use a member"


def _no_keys(shown: Shown) -> Iterator[str]:
    yield f"{shown.type}: a key can be stolen; identities are federated"


def _knows_the_repository(shown: Shown) -> Iterator[str]:
    condition = str(shown.at("attributeCondition") or "")
    for claim in ("assertion.repository_id", "assertion.repository_owner_id"):
        if f"{claim} ==" not in condition and f"{claim}==" not in condition:
            yield f"attributeCondition does not compare {claim}"


RULES = (
    Rule(
        name="access-least-privilege",
        promise="Grants are as small as their purpose, and never to everybody.",
        types=("gcp:*",),
        faults=_least,
    ),
    Rule(
        name="access-adds-only",
        promise="A grant never takes away what others granted.",
        types=("gcp:*",),
        faults=_adds_only,
    ),
    Rule(
        name="access-no-keys",
        promise="No key of an account exists.",
        types=(_KEY,),
        faults=_no_keys,
    ),
    Rule(
        name="access-federation-bound",
        promise="Only this repository's pipelines can log in.",
        types=(PROVIDER,),
        faults=_knows_the_repository,
    ),
)
