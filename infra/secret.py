"""Places for secrets. Their values never come here: people add versions by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import secretmanager, serviceaccount

from infra.naming import SECRETS


@dataclass(frozen=True, kw_only=True)
class SecretsArgs:
    """Who may read, and whether the places may be deleted."""

    runtime: serviceaccount.Account
    protected: bool
    labels: Mapping[str, str]
    after: Sequence[pulumi.Resource]


class Secrets(pulumi.ComponentResource):
    """One empty place for each secret, and the runtime account's right to read it.

    The service must depend on `grants`: a revision fails whose account cannot read
    what it is given.
    """

    by_name: Mapping[str, secretmanager.Secret]
    grants: Sequence[secretmanager.SecretIamMember]

    def __init__(
        self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Secrets", name, {}, opts)
        self.by_name = {
            key: self._secret(f"{name}-{label}", secret_id, args)
            for key, (label, secret_id) in SECRETS.items()
        }
        self.grants = [
            secretmanager.SecretIamMember(
                f"{name}-{label}-reader",
                secret_id=self.by_name[key].id,
                role="roles/secretmanager.secretAccessor",
                member=args.runtime.member,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for key, (label, _) in SECRETS.items()
        ]
        self.register_outputs({})

    def _secret(
        self, name: str, secret_id: str, args: SecretsArgs
    ) -> secretmanager.Secret:
        return secretmanager.Secret(
            name,
            secret_id=secret_id,
            replication=secretmanager.SecretReplicationArgs(
                auto=secretmanager.SecretReplicationAutoArgs()
            ),
            deletion_protection=args.protected,
            labels=args.labels,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=args.after, protect=args.protected
            ),
        )
