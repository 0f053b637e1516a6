"""Which jobs of which repository may become one of the accounts."""

import re

import pulumi

from infra.delivery_identity.roles import Role

ISSUER = "https://token.actions.githubusercontent.com"

# What a binding may name. GitHub's numeric ids outlive renames; names do not.
ATTRIBUTES = {
    "google.subject": "assertion.sub",
    "attribute.repository_id": "assertion.repository_id",
    "attribute.repository_owner_id": "assertion.repository_owner_id",
    "attribute.ref": "assertion.ref",
    "attribute.environment": "assertion.environment",
}

_REVIEWED = "refs/heads/main"
_NUMBER = re.compile(r"[1-9][0-9]*")


def environment_of(role: Role, *, stack: str) -> str:
    """Return the GitHub environment that a job must run in to have this role."""
    return f"{stack}-{role}"


def condition(*, repository_id: str, owner_id: str, stack: str) -> str:
    """Return what a token must say before it is looked at any further.

    Without it any repository of anybody could log in. A job outside an environment
    has no `environment` claim, which makes the condition fail.
    """
    for number in (repository_id, owner_id):
        if _NUMBER.fullmatch(number) is None:
            raise AssertionError(f"not a numeric id: {number!r}")
    unreviewed = _in(environment_of(Role.PREVIEW, stack=stack))
    reviewed = " || ".join(
        _in(environment_of(role, stack=stack)) for role in (Role.APPLY, Role.RELEASE)
    )
    return (
        f"assertion.repository_id == '{repository_id}'"
        f" && assertion.repository_owner_id == '{owner_id}'"
        f" && ({unreviewed} || (assertion.ref == '{_REVIEWED}' && ({reviewed})))"
    )


def principals(
    pool_name: pulumi.Input[str], role: Role, *, stack: str
) -> pulumi.Output[str]:
    """Return all jobs in the environment of this role, as IAM's bindings name them."""
    return pulumi.Output.concat(
        "principalSet://iam.googleapis.com/",
        pool_name,
        "/attribute.environment/",
        environment_of(role, stack=stack),
    )


def _in(environment: str) -> str:
    return f"assertion.environment == '{environment}'"
