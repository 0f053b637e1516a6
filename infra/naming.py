"""Physical names and labels. Each stack has a project, so none names an environment."""

from infra.config import StackConfig
from service.contract import SERVICE_NAME, Tag

# Cloud Run gives every tag and service a host of this form, known before they exist.
_RUN_HOST = "{service}-{number}.{region}.run.app"

RUNTIME_ACCOUNT = f"{SERVICE_NAME}-run"
MIGRATOR_ACCOUNT = f"{SERVICE_NAME}-migrate"
RELEASE_ACCOUNT = f"{SERVICE_NAME}-release"
MIGRATION_JOB = f"{SERVICE_NAME}-migrate"
DATABASE_NAME = "events"
IMAGE = SERVICE_NAME

# By its name among a stack's settings: the label of the resource and the physical id.
SECRETS = {
    "authSecret": ("auth-secret", f"{SERVICE_NAME}-auth-secret"),
    "webhookUrl": ("webhook-url", f"{SERVICE_NAME}-webhook-url"),
    "webhookSecret": ("webhook-secret", f"{SERVICE_NAME}-webhook-secret"),
}


def labels(config: StackConfig) -> dict[str, str]:
    """Return what every resource that can is labelled with."""
    return {
        "app": SERVICE_NAME,
        "environment": config.environment,
        "managed-by": "pulumi",
    }


def account_email(project: str, account: str) -> str:
    """Return an account's address, which is known before the account exists."""
    return f"{account}@{project}.iam.gserviceaccount.com"


def run_host(*, project_number: str, region: str) -> str:
    """Return the host that Cloud Run gives the service."""
    return _RUN_HOST.format(service=SERVICE_NAME, number=project_number, region=region)


def run_candidate_host(*, project_number: str, region: str) -> str:
    """Return the host that Cloud Run gives the revision tagged `candidate`."""
    host = run_host(project_number=project_number, region=region)
    return f"{Tag.CANDIDATE}---{host}"


def candidate_domain(domain: str) -> str:
    """Return the host at the edge that leads to the revision tagged `candidate`."""
    return f"{Tag.CANDIDATE}.{domain}"
