"""Where the service's images are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import artifactregistry

from infra.naming import IMAGE
from service.contract import SERVICE_NAME

_KEPT_IMAGES = 50
_DAYS_90 = "7776000s"


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """Where it is, and whether it may be deleted."""

    region: str
    protected: bool
    labels: Mapping[str, str]
    after: Sequence[pulumi.Resource]


class Registry(pulumi.ComponentResource):
    """A repository of scanned images, tidied without touching what could be needed.

    An image that a rollback may go back to is one of the newest. The platform's own
    agent may read repositories of its project, so there is nothing to grant here.
    """

    repository: artifactregistry.Repository

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Registry", name, {}, opts)
        self.repository = artifactregistry.Repository(
            f"{name}-repository",
            repository_id=SERVICE_NAME,
            location=args.region,
            format="DOCKER",
            description="Images of the event service",
            docker_config=artifactregistry.RepositoryDockerConfigArgs(
                immutable_tags=True
            ),
            vulnerability_scanning_config=(
                artifactregistry.RepositoryVulnerabilityScanningConfigArgs(
                    enablement_config="INHERITED"
                )
            ),
            cleanup_policy_dry_run=False,
            cleanup_policies=_cleanup_policies(),
            labels=args.labels,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=args.after, protect=args.protected
            ),
        )
        self.register_outputs({"images": self.images})

    @property
    def images(self) -> pulumi.Output[str]:
        """The address of the service's images; a digest follows it."""
        return pulumi.Output.format(
            "{0}-docker.pkg.dev/{1}/{2}/{3}",
            self.repository.location,
            self.repository.project,
            self.repository.repository_id,
            IMAGE,
        )


def _cleanup_policies() -> list[artifactregistry.RepositoryCleanupPolicyArgs]:
    # Where one says keep and another delete, it is kept.
    return [
        artifactregistry.RepositoryCleanupPolicyArgs(
            id="keep-newest",
            action="KEEP",
            most_recent_versions=(
                artifactregistry.RepositoryCleanupPolicyMostRecentVersionsArgs(
                    keep_count=_KEPT_IMAGES
                )
            ),
        ),
        artifactregistry.RepositoryCleanupPolicyArgs(
            id="delete-old",
            action="DELETE",
            condition=artifactregistry.RepositoryCleanupPolicyConditionArgs(
                tag_state="ANY", older_than=_DAYS_90
            ),
        ),
    ]
