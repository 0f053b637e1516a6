"""Who may do what: accounts, grants, and the pipelines' way in."""

from collections.abc import Iterator

from infra.render.graph import Graph
from tests.integration.infra.guards.guard import guard, only
from tests.integration.infra.guards.kinds import ACCOUNT, API, PROVIDER

_BASIC = {"roles/owner", "roles/editor", "roles/viewer"}
_DEFAULTS = (
    "-compute@developer.gserviceaccount.com",
    "@appspot.gserviceaccount.com",
    "@cloudservices.gserviceaccount.com",
    "@cloudbuild.gserviceaccount.com",
)
# What an API's resources are called, where that is not the API's own name.
_API_OF = {
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
}


@guard(13)
def nothing_is_granted_to_everybody(graph: Graph) -> Iterator[str]:
    """No grant names all users; where domains are restricted it would be refused."""
    for resource in graph.custom():
        for key in ("member", "members"):
            value = resource.text(key)
            if "allUsers" in value or "allAuthenticatedUsers" in value:
                yield f"{resource} is for {value}"


@guard(20, 25)
def grants_are_narrow_and_to_accounts_of_our_own(graph: Graph) -> Iterator[str]:
    """No basic role, and nothing for a default account."""
    for resource in graph.custom():
        if resource.text("role") in _BASIC:
            yield f"{resource} grants {resource.text('role')}"
        if resource.text("member").endswith(_DEFAULTS):
            yield f"{resource} is for {resource.text('member')}"
        # A binding or policy would take away what others were granted.
        if resource.type.endswith(("IAMBinding", "IAMPolicy", "IamBinding")):
            yield f"{resource} replaces the grants of others"


@guard(25)
def only_this_repository_logs_in(graph: Graph) -> Iterator[str]:
    """The repository's and its owner's numbers, and a branch or environment, decide."""
    provider = only(graph, PROVIDER)
    condition = provider.text("attributeCondition")
    config = graph.config
    for claim, key in (
        ("repository_id", "repositoryId"),
        ("repository_owner_id", "repositoryOwnerId"),
    ):
        wanted = f"assertion.{claim} == '{config[f'event-service:{key}']}'"
        if wanted not in condition:
            yield f"{provider}: the condition lacks {wanted}"
    for claim in ("assertion.ref ==", f"assertion.environment == '{graph.stack}"):
        if claim not in condition:
            yield f"{provider}: the condition lacks {claim}"
    issuer = provider.text("oidc.issuerUri")
    if issuer != "https://token.actions.githubusercontent.com":
        yield f"{provider} trusts {issuer}"


@guard(25)
def each_job_of_the_pipelines_has_its_own_account(graph: Graph) -> Iterator[str]:
    """Showing, applying and releasing are three accounts, each for one environment."""
    roles = ("preview", "apply", "release")
    accounts = {a.text("accountId"): a for a in graph.by_type(ACCOUNT)}
    logins = {
        login.text("serviceAccountId"): login.text("member")
        for login in graph.by_type("gcp:serviceaccount/iAMMember:IAMMember")
        if login.text("role") == "roles/iam.workloadIdentityUser"
    }
    for role in roles:
        account = accounts.get(f"event-service-{role}")
        if account is None:
            yield f"there is no account for {role}"
            continue
        member = logins.get(str(account.outputs["name"]), "")
        if not member.endswith(f"/attribute.environment/{graph.stack}-{role}"):
            yield f"{account} is open for {member or 'nobody'}"
    if len(logins) != len(roles):
        yield f"{len(logins)} accounts are open for the pipelines"


@guard(25)
def releasing_touches_one_service(graph: Graph) -> Iterator[str]:
    """The releasing account changes the one service, and nothing on the project."""
    for grant in graph.custom():
        if not grant.text("member").startswith("serviceAccount:event-service-release@"):
            continue
        role = grant.text("role")
        on_project = grant.type == "gcp:projects/iAMMember:IAMMember"
        if on_project and not role.endswith(("iewer", "eader", "logWriter")):
            yield f"{grant}: {role} on the whole project"


@guard(19)
def apis_come_first_and_stay(graph: Graph) -> Iterator[str]:
    """An API is on before its resources are made, and never switched off again."""
    apis = {api.text("service"): api for api in graph.by_type(API)}
    for api in apis.values():
        if api.at("disableOnDestroy") is not False:
            yield f"{api}: disableOnDestroy must be false"
    for resource in graph.custom():
        if resource.type == API:
            continue
        name = _API_OF[resource.type.removeprefix("gcp:").split("/")[0]]
        needed = apis.get(f"{name}.googleapis.com")
        if needed is None:
            yield f"{resource} needs {name}, which nobody switches on"
        elif not graph.depends(resource, needed):
            yield f"{resource} does not wait for {name}"
