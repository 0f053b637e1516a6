"""The private network: where instances send from and Google's services answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_gcp import compute, servicenetworking


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Ranges of a network, and whether it may be taken down."""

    region: str
    subnet_cidr: IPv4Network
    services_cidr: IPv4Network
    protected: bool
    after: Sequence[pulumi.Resource]


class Network(pulumi.ComponentResource):
    """A network of the stack's own, peered with the one that databases live in.

    What has an address in it must depend on `peering`: no input of a database names
    the peering, but without it there is no address to give.
    """

    network: compute.Network
    subnet: compute.Subnetwork
    services_range: compute.GlobalAddress
    peering: servicenetworking.Connection

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Network", name, {}, opts)
        self.network = compute.Network(
            f"{name}-network",
            description="The event service",
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=args.after, protect=args.protected
            ),
        )
        child = pulumi.ResourceOptions(parent=self)
        self.subnet = compute.Subnetwork(
            f"{name}-subnet",
            description="Where the service's instances send from",
            network=self.network.id,
            region=args.region,
            ip_cidr_range=str(args.subnet_cidr),
            private_ip_google_access=True,
            opts=child,
        )
        self.services_range = compute.GlobalAddress(
            f"{name}-services",
            description="Kept for Google's services: the database's address",
            network=self.network.id,
            address_type="INTERNAL",
            purpose="VPC_PEERING",
            address=str(args.services_cidr.network_address),
            prefix_length=args.services_cidr.prefixlen,
            opts=child,
        )
        self.peering = servicenetworking.Connection(
            f"{name}-peering",
            network=self.network.id,
            service="servicenetworking.googleapis.com",
            reserved_peering_ranges=[self.services_range.name],
            # Google keeps a deleted database's resources for days, so the plain
            # deletion fails; abandoning it would block the network's.
            deletion_policy="PREVENT" if args.protected else "REMOVE_PEERING",
            opts=pulumi.ResourceOptions(parent=self, protect=args.protected),
        )
        self.register_outputs({"network": self.network.id, "subnet": self.subnet.id})
