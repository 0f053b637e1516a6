"""What each job of the pipelines may do on the project, and what for.

None is owner or editor, none reads a secret's value, and `apply` cannot widen what it
may do itself: a change to this file is applied by a person (docs/runbooks).
"""

from enum import StrEnum


class Role(StrEnum):
    """A job of the pipelines."""

    PREVIEW = "preview"  # shows what a change would do; runs before anybody reviewed it
    APPLY = "apply"  # `pulumi up`
    RELEASE = "release"  # `ops`: traffic, the migration, the evidence


# What a refresh reads. `pulumi preview` takes no lock and writes nothing.
_READ = {
    "roles/artifactregistry.reader": "the registry; for a release, digests",
    "roles/browser": "the project's number",
    "roles/cloudsql.viewer": "the database",
    "roles/compute.viewer": "network and edge",
    "roles/iam.roleViewer": "the roles of our own",
    "roles/iam.securityReviewer": "who was granted what, on everything",
    "roles/iam.serviceAccountViewer": "the accounts",
    "roles/iam.workloadIdentityPoolViewer": "the pool and its provider",
    "roles/memorystore.viewer": "the cache",
    "roles/monitoring.viewer": "alerts, objectives, dashboard; for a release, metrics",
    "roles/run.viewer": "the service and the migration",
    "roles/secretmanager.viewer": "secrets and versions, never their values",
    "roles/serviceusage.serviceUsageViewer": "which APIs are on",
}

_CHANGE = {
    "roles/artifactregistry.admin": "the registry and who may read it",
    "roles/cloudsql.admin": "the database, its users and backups",
    "roles/compute.networkAdmin": "network, addresses, the load balancer",
    "roles/compute.securityAdmin": "firewall rules, certificates, TLS policies",
    "roles/iam.serviceAccountAdmin": "the accounts and who may act as them",
    "roles/logging.configWriter": "log-based metrics",
    "roles/logging.logWriter": "what the check of traffic after `up` found",
    "roles/memorystore.admin": "the cache",
    "roles/monitoring.editor": "alerts, channels, objectives, dashboard, uptime",
    "roles/networkconnectivity.consumerNetworkAdmin": "the cache's way in",
    "roles/run.admin": "the service, the migration and who may use them",
    "roles/servicenetworking.networksAdmin": "the database's way in",
    "roles/serviceusage.serviceUsageAdmin": "switching APIs on",
}

_RUN = {
    "roles/artifactregistry.reader": "digests of what is released",
    "roles/logging.logWriter": "what `ops` found, for alerts to read",
    "roles/logging.viewer": "the log of two revisions, to compare them",
    "roles/monitoring.viewer": "the metrics that a release is judged by",
    "roles/run.viewer": "revisions, operations and executions",
}

# By job: role and reason.
PROJECT_ROLES = {
    Role.PREVIEW: _READ,
    Role.APPLY: {
        # Reading comes with the right to change; these have no such right here.
        role: _READ[role]
        for role in (
            "roles/browser",
            "roles/iam.roleViewer",
            "roles/iam.securityReviewer",
            "roles/iam.workloadIdentityPoolViewer",
        )
    }
    | _CHANGE,
    Role.RELEASE: _RUN,
}

# What `apply` may grant on the project, to whomever: the programs' own roles.
GRANTABLE = (
    "roles/cloudsql.client",
    "roles/cloudsql.instanceUser",
    "roles/cloudtrace.agent",
    "roles/logging.logWriter",
    "roles/memorystore.dbConnectionUser",
    "roles/monitoring.metricWriter",
)

# Where Google's own roles hold too much: the readers of these may change them, too.
PREVIEW_PERMISSIONS = (
    "logging.logMetrics.get",
    "logging.logMetrics.list",
    "networkconnectivity.operations.get",
    "networkconnectivity.serviceConnectionPolicies.get",
    "servicenetworking.services.get",
)

# `roles/secretmanager.admin` without the right to read or to add a value.
APPLY_PERMISSIONS = (
    "secretmanager.secrets.create",
    "secretmanager.secrets.delete",
    "secretmanager.secrets.get",
    "secretmanager.secrets.getIamPolicy",
    "secretmanager.secrets.list",
    "secretmanager.secrets.setIamPolicy",
    "secretmanager.secrets.update",
    "secretmanager.versions.get",
    "secretmanager.versions.list",
)

OWN_PERMISSIONS = {Role.PREVIEW: PREVIEW_PERMISSIONS, Role.APPLY: APPLY_PERMISSIONS}
