"""Valkey, which hastens: wake-ups only, nothing is kept there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import memorystore, networkconnectivity, projects, serviceaccount

from service.contract import SERVICE_NAME


@dataclass(frozen=True, kw_only=True)
class CacheArgs:
    """One cache's size, and the network that it is reached in."""

    project: str
    region: str
    network_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    node_type: str
    replicas: int
    protected: bool
    runtime: serviceaccount.Account
    labels: Mapping[str, str]
    after: Sequence[pulumi.Resource]


class Cache(pulumi.ComponentResource):
    """A Valkey instance with an address in the network.

    Connections are encrypted and log in with the account's short-lived tokens. Losing
    it loses wake-ups, which the service finds by its sweep.
    """

    instance: memorystore.Instance

    def __init__(
        self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Cache", name, {}, opts)
        policy = networkconnectivity.ServiceConnectionPolicy(
            f"{name}-policy",
            description="Lets Valkey have addresses in the service's subnet",
            location=args.region,
            network=args.network_id,
            service_class="gcp-memorystore",
            psc_config=networkconnectivity.ServiceConnectionPolicyPscConfigArgs(
                subnetworks=[args.subnet_id]
            ),
            labels=args.labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.after),
        )
        self.instance = self._instance(name, args, policy)
        projects.IAMMember(
            f"{name}-login",
            project=args.project,
            role="roles/memorystore.dbConnectionUser",
            member=args.runtime.member,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"host": self.host, "port": self.port})

    @property
    def host(self) -> pulumi.Output[str]:
        """Its address in the network."""
        return self._place.apply(lambda place: str(place.ip_address))

    @property
    def port(self) -> pulumi.Output[int]:
        """Its port."""
        return self._place.apply(lambda place: int(place.port or 0))

    @property
    def url(self) -> pulumi.Output[str]:
        """Where to connect; who asks says who it is with a token."""
        return pulumi.Output.format("rediss://{0}:{1}", self.host, self.port)

    @property
    def authority(self) -> pulumi.Output[str]:
        """The certificates that the server's is signed by; all, while they rotate."""
        return self.instance.managed_server_cas.apply(
            lambda several: "\n".join(
                pem.strip()
                for one in several
                for chain in one.ca_certs or ()
                for pem in chain.certificates or ()
            )
        )

    @property
    def _place(
        self,
    ) -> pulumi.Output[memorystore.outputs.InstanceEndpointConnectionPscAutoConnection]:
        # Without clustering there is one endpoint, which is the primary's.
        return self.instance.endpoints.apply(_primary)

    def _instance(
        self,
        name: str,
        args: CacheArgs,
        policy: networkconnectivity.ServiceConnectionPolicy,
    ) -> memorystore.Instance:
        return memorystore.Instance(
            f"{name}-instance",
            instance_id=SERVICE_NAME,
            location=args.region,
            engine_version="VALKEY_8_0",
            mode="CLUSTER_DISABLED",
            shard_count=1,
            node_type=args.node_type,
            replica_count=args.replicas,
            transit_encryption_mode="SERVER_AUTHENTICATION",
            authorization_mode="IAM_AUTH",
            deletion_protection_enabled=args.protected,
            desired_auto_created_endpoints=[
                memorystore.InstanceDesiredAutoCreatedEndpointArgs(
                    network=args.network_id, project_id=args.project
                )
            ],
            labels=args.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[policy],
                protect=args.protected,
                # Its name is its own, so two cannot live at once; nothing is lost.
                delete_before_replace=True,
            ),
        )


def _primary(
    endpoints: Sequence[memorystore.outputs.InstanceEndpoint],
) -> memorystore.outputs.InstanceEndpointConnectionPscAutoConnection:
    connections = [one for each in endpoints for one in each.connections or ()]
    places = [one.psc_auto_connection for one in connections if one.psc_auto_connection]
    primary = [
        place
        for place in places
        if place.connection_type in (None, "", "CONNECTION_TYPE_PRIMARY")
    ]
    return (primary or places)[0]
