"""`infra.delivery_identity`: who may log in, as what, and what that may do."""

import re
from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from pulumi_gcp import serviceaccount

from infra.delivery_identity import DeliveryIdentity, DeliveryIdentityArgs, Role
from infra.delivery_identity.roles import (
    APPLY_PERMISSIONS,
    GRANTABLE,
    PREVIEW_PERMISSIONS,
    PROJECT_ROLES,
)
from infra.delivery_identity.trust import condition
from infra.render.graph import Graph, Resource
from tests.fixtures.infra_graph import render
from tests.integration.infra.component import PROJECT, REGION, rendered

_REPOSITORY, _OWNER = "123456789", "987654"
_MAIN, _CHANGE = "refs/heads/main", "refs/pull/7/merge"

_PROJECT_GRANT = "gcp:projects/iAMMember:IAMMember"
_ACCOUNT_GRANT = "gcp:serviceaccount/iAMMember:IAMMember"


def _delivery(*, service_name: str | None, migration_job: str | None) -> Graph:
    def declare() -> None:
        DeliveryIdentity(
            "delivery",
            DeliveryIdentityArgs(
                project=PROJECT,
                environment="prod",
                region=REGION,
                repository_id=_REPOSITORY,
                repository_owner_id=_OWNER,
                runtime=serviceaccount.Account("runtime", account_id="the-runtime"),
                migrator=serviceaccount.Account("migrator", account_id="the-migrator"),
                service_name=service_name,
                migration_job=migration_job,
                protected=True,
                after=[],
            ),
        )

    return rendered(declare)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return _delivery(service_name="event-service", migration_job="event-migrate")


def _member(role: Role) -> str:
    email = f"event-service-{role}@{PROJECT}.iam.gserviceaccount.com"
    return f"serviceAccount:{email}"


def _grants(graph: Graph, type: str, role: Role) -> list[Resource]:
    return [one for one in graph.by_type(type) if one.at("member") == _member(role)]


def _may_log_in(claims: Mapping[str, str]) -> bool:
    """Evaluate the condition; a claim that is missing fails it, as CEL has it."""
    text = condition(repository_id=_REPOSITORY, owner_id=_OWNER, stack="prod")
    python = text.replace("&&", "and").replace("||", "or")
    try:
        return bool(
            eval(  # noqa: S307 -- our own text
                python, {"__builtins__": {}}, {"assertion": SimpleNamespace(**claims)}
            )
        )
    except AttributeError:
        return False


def _claims(**changed: str) -> dict[str, str]:
    return {
        "repository_id": _REPOSITORY,
        "repository_owner_id": _OWNER,
        "ref": _MAIN,
        "environment": "prod-apply",
    } | changed


@pytest.mark.parametrize(
    "claims",
    [
        _claims(),
        _claims(environment="prod-release"),
        _claims(environment="prod-preview"),
        _claims(environment="prod-preview", ref=_CHANGE),
    ],
)
def test_our_jobs_log_in(claims: dict[str, str]) -> None:
    """Reviewed code gets any role, a proposed change the one that only reads."""
    assert _may_log_in(claims)


@pytest.mark.parametrize(
    "claims",
    [
        _claims(repository_id="5"),
        _claims(repository_owner_id="5"),
        _claims(ref=_CHANGE),
        _claims(ref="refs/heads/main2"),
        _claims(ref="refs/tags/main", environment="prod-release"),
        _claims(ref=_CHANGE, environment="prod-release"),
        _claims(environment="staging-apply"),
        _claims(environment=""),
        _claims(environment="prod-preview", repository_id="5"),
        {k: v for k, v in _claims().items() if k != "environment"},
        {k: v for k, v in _claims().items() if k != "repository_id"},
    ],
)
def test_nobody_else_logs_in(claims: dict[str, str]) -> None:
    """Others' repositories, unreviewed code with rights, jobs outside: refused."""
    assert not _may_log_in(claims)


@pytest.mark.parametrize("number", ["", "0", "12x", "acme/events", "1' || true || '"])
def test_ids_are_numbers(number: str) -> None:
    """A name, or nothing, never becomes a condition."""
    with pytest.raises(AssertionError, match="numeric"):
        condition(repository_id=number, owner_id=_OWNER, stack="prod")
    with pytest.raises(AssertionError, match="numeric"):
        condition(repository_id=_REPOSITORY, owner_id=number, stack="prod")


def test_provider_has_the_condition_and_every_attribute_it_grants_by(
    graph: Graph,
) -> None:
    """The provider looks at ids first, and keeps what the bindings name."""
    provider = graph.by_name("delivery-provider")

    assert condition(
        repository_id=_REPOSITORY, owner_id=_OWNER, stack="prod"
    ) == provider.at("attributeCondition")
    assert "https://token.actions.githubusercontent.com" == provider.at(
        "oidc.issuerUri"
    )
    mapping = provider.inputs["attributeMapping"]
    assert isinstance(mapping, Mapping)
    assert "assertion.environment" == mapping["attribute.environment"]
    # Unset, only tokens made for this very provider are taken.
    assert provider.at("oidc.allowedAudiences") is None


@pytest.mark.parametrize("role", Role)
def test_each_environment_logs_in_as_its_own_account(graph: Graph, role: Role) -> None:
    """Jobs of one environment become one account, and no other."""
    logins = [
        one
        for one in graph.by_type(_ACCOUNT_GRANT)
        if one.at("role") == "roles/iam.workloadIdentityUser"
        and f"event-service-{role}@" in one.text("serviceAccountId")
    ]
    (login,) = logins
    member = login.text("member")

    assert member.startswith("principalSet://iam.googleapis.com/projects/")
    assert member.endswith(f"/attribute.environment/prod-{role}")


def test_there_are_no_keys(graph: Graph) -> None:
    """Nothing that could be copied is ever made."""
    assert () == graph.by_type("gcp:serviceaccount/key:Key")


@pytest.mark.parametrize("role", Role)
def test_no_broad_role(graph: Graph, role: Role) -> None:
    """Nobody owns or edits the project, or reads secrets, over its roles."""
    granted = [one.text("role") for one in _grants(graph, _PROJECT_GRANT, role)]

    assert granted
    assert len(set(granted)) == len(granted)
    for one in granted:
        assert one not in {"roles/owner", "roles/editor", "roles/viewer"}
        assert not re.search(r"secretAccessor|tokenCreator|secretmanager\.admin", one)


def test_preview_only_reads(graph: Graph) -> None:
    """What runs before a review changes nothing and sees no secret's value."""
    reading = re.compile(r"[vV]iewer$|[rR]eader$|securityReviewer$|browser$")
    own = graph.by_name("delivery-preview-role")
    granted = {one.text("role") for one in _grants(graph, _PROJECT_GRANT, Role.PREVIEW)}
    google = {one for one in granted if one.startswith("roles/")}

    assert [str(own.outputs["name"])] == list(granted - google)
    assert all(reading.search(one) for one in google)
    assert all(one.rsplit(".", 1)[1] in {"get", "list"} for one in PREVIEW_PERMISSIONS)
    assert not [
        one
        for one in graph.by_type(_ACCOUNT_GRANT)
        if one.at("member") == _member(Role.PREVIEW)
    ]


def test_apply_keeps_secrets_without_reading_them() -> None:
    """It may make a secret and say who reads it; values are none of its business."""
    assert "secretmanager.versions.access" not in APPLY_PERMISSIONS
    assert "secretmanager.versions.add" not in APPLY_PERMISSIONS


def test_apply_cannot_widen_what_it_may_do(graph: Graph) -> None:
    """It grants the programs' roles only: none that changes anything it could use."""
    grant = graph.by_name("delivery-apply-grants")
    expression = grant.text("condition.expression")
    allowed = re.findall(r"'(roles/[^']+)'", expression)
    unconditional = [
        one.text("role")
        for one in _grants(graph, _PROJECT_GRANT, Role.APPLY)
        if one.at("condition") is None
    ]

    assert list(GRANTABLE) == allowed
    assert expression.startswith(
        "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly("
    )
    assert not [one for one in allowed if "dmin" in one or "ditor" in one]
    assert "roles/resourcemanager.projectIamAdmin" not in unconditional
    assert "roles/iam.workloadIdentityPoolAdmin" not in unconditional


def test_release_changes_one_service_as_one_account(graph: Graph) -> None:
    """Traffic of this service and one run of its migration: nothing else."""
    project = {one.text("role") for one in _grants(graph, _PROJECT_GRANT, Role.RELEASE)}
    acts_as = [
        one.text("serviceAccountId")
        for one in _grants(graph, _ACCOUNT_GRANT, Role.RELEASE)
    ]
    service = graph.by_name("delivery-release-service")
    job = graph.by_name("delivery-release-migration")

    assert set(PROJECT_ROLES[Role.RELEASE]) == project
    assert not [one for one in project if "run.developer" in one or "dmin" in one]
    assert ["the-runtime"] == [
        account.rsplit("/", 1)[1].split("@")[0] for account in acts_as
    ]
    assert ("event-service", "roles/run.developer") == (
        service.at("name"),
        service.at("role"),
    )
    assert ("event-migrate", "roles/run.invoker") == (job.at("name"), job.at("role"))


def test_prod_keeps_its_pipelines_logins(graph: Graph) -> None:
    """Provider and logins are protected; accounts and pool go only after a login."""
    provider = graph.by_name("delivery-provider")
    logins = [graph.by_name(f"delivery-{role}-login") for role in Role]

    assert provider.protect
    for role, login in zip(Role, logins, strict=True):
        assert login.protect
        assert graph.depends(login, graph.by_name(f"delivery-{role}"))
        assert graph.depends(login, graph.by_name("delivery-pool"))


def test_without_a_service_the_rest_is_granted() -> None:
    """Before the first image there is nothing to release, but pipelines log in."""
    graph = _delivery(service_name=None, migration_job=None)
    names = {resource.name for resource in graph.resources}

    assert "delivery-provider" in names
    assert not {"delivery-release-service", "delivery-release-migration"} & names


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_apply_may_grant_what_the_programs_need(stack: str) -> None:
    """Each role that another component grants on the project is one it may grant."""
    graph = render(stack)
    granted = {
        one.text("role")
        for one in graph.by_type(_PROJECT_GRANT)
        if not one.name.startswith("delivery-")
    }

    assert granted
    assert granted <= set(GRANTABLE)
