"""One address for the public host and for the candidate's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_gcp import compute

from infra.edge.armor import operator_rules, public_rules
from infra.naming import candidate_domain
from service.contract import Tag

# "External Managed" is today's global load balancer; plain EXTERNAL is the classic one.
_SCHEME = "EXTERNAL_MANAGED"


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """What the edge stands before, and who may see its candidate."""

    region: str
    service_name: pulumi.Input[str]  # an output of the service, which then comes first
    domain: str
    operator_ranges: Sequence[IPv4Network]  # empty: nobody
    labels: Mapping[str, str]
    protected: bool
    after: Sequence[pulumi.Resource]


class Edge(pulumi.ComponentResource):
    """A global load balancer: TLS, throttling, and the candidate for operators only.

    Both hosts need a DNS record that points to `address` before their certificates
    can be issued; each has one of its own, so that neither waits for the other's DNS.
    While no revision has the tag `candidate` its host answers 404.
    """

    address: pulumi.Output[str]
    url: str
    candidate_url: str

    def __init__(
        self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Edge", name, {}, opts)
        self._name = name
        self._args = args
        self._inside = pulumi.ResourceOptions(parent=self, depends_on=args.after)
        candidate = candidate_domain(args.domain)

        address = compute.GlobalAddress(
            f"{name}-address",
            labels=args.labels,
            opts=self._inside,
        )
        self._open_https(address, hosts=(args.domain, candidate))
        self._redirect_http(address)

        self.address = address.address
        self.url = f"https://{args.domain}"
        self.candidate_url = f"https://{candidate}"
        self.register_outputs({"address": self.address})

    def _open_https(
        self, address: compute.GlobalAddress, *, hosts: tuple[str, str]
    ) -> None:
        name = self._name
        proxy = compute.TargetHttpsProxy(
            f"{name}-https",
            url_map=self._routes(candidate_host=hosts[1]).id,
            ssl_certificates=[
                self._certificate(part, host).id
                for part, host in zip(("public", "candidate"), hosts, strict=True)
            ],
            ssl_policy=compute.SSLPolicy(
                f"{name}-tls",
                min_tls_version="TLS_1_2",
                profile="MODERN",
                opts=self._inside,
            ).id,
            opts=self._inside,
        )
        self._listen("https", address, proxy.id, port=443)

    def _routes(self, *, candidate_host: str) -> compute.URLMap:
        """Send the candidate's host to the candidate, and every other to the public.

        The service itself refuses hosts that it is not known by.
        """
        public = self._backend("public", public_rules(), tag=None)
        candidate = self._backend(
            "candidate", operator_rules(self._args.operator_ranges), tag=Tag.CANDIDATE
        )
        return compute.URLMap(
            f"{self._name}-routes",
            default_service=public.id,
            host_rules=[
                compute.URLMapHostRuleArgs(
                    hosts=[candidate_host], path_matcher="candidate"
                )
            ],
            path_matchers=[
                compute.URLMapPathMatcherArgs(
                    name="candidate", default_service=candidate.id
                )
            ],
            opts=self._inside,
        )

    def _backend(
        self,
        part: str,
        rules: list[compute.SecurityPolicyRuleArgs],
        *,
        tag: Tag | None,
    ) -> compute.BackendService:
        """Return a way to the service behind its own firewall.

        No timeout: a serverless backend refuses one, and Cloud Run's own governs
        sockets. No affinity: it would defeat the traffic split. HTTP/1.1,
        because a socket's upgrade needs it.
        """
        name, args = f"{self._name}-{part}", self._args
        group = compute.RegionNetworkEndpointGroup(
            f"{name}-endpoints",
            region=args.region,
            network_endpoint_type="SERVERLESS",
            cloud_run=compute.RegionNetworkEndpointGroupCloudRunArgs(
                service=args.service_name, tag=tag
            ),
            opts=self._inside,
        )
        return compute.BackendService(
            f"{name}-backend",
            load_balancing_scheme=_SCHEME,
            protocol="HTTPS",
            backends=[compute.BackendServiceBackendArgs(group=group.id)],
            security_policy=self._firewall(part, rules).id,
            log_config=compute.BackendServiceLogConfigArgs(enable=True, sample_rate=1),
            opts=self._inside,
        )

    def _firewall(
        self, part: str, rules: list[compute.SecurityPolicyRuleArgs]
    ) -> compute.SecurityPolicy:
        return compute.SecurityPolicy(
            f"{self._name}-{part}-firewall",
            type="CLOUD_ARMOR",
            labels=self._args.labels,
            rules=rules,
            opts=self._inside,
        )

    def _certificate(self, part: str, host: str) -> compute.ManagedSslCertificate:
        return compute.ManagedSslCertificate(
            f"{self._name}-{part}-certificate",
            managed=compute.ManagedSslCertificateManagedArgs(domains=[host]),
            opts=self._inside,
        )

    def _redirect_http(self, address: compute.GlobalAddress) -> None:
        name = self._name
        routes = compute.URLMap(
            f"{name}-redirect",
            default_url_redirect=compute.URLMapDefaultUrlRedirectArgs(
                https_redirect=True,
                redirect_response_code="MOVED_PERMANENTLY_DEFAULT",
                strip_query=False,
            ),
            opts=self._inside,
        )
        proxy = compute.TargetHttpProxy(
            f"{name}-http", url_map=routes.id, opts=self._inside
        )
        self._listen("http", address, proxy.id, port=80)

    def _listen(
        self,
        part: str,
        address: compute.GlobalAddress,
        target: pulumi.Output[str],
        *,
        port: int,
    ) -> None:
        # All of the edge leads here, and goes only after it: this protects the whole.
        kept = pulumi.ResourceOptions(protect=self._args.protected)
        compute.GlobalForwardingRule(
            f"{self._name}-{part}-listener",
            load_balancing_scheme=_SCHEME,
            ip_protocol="TCP",
            ip_address=address.address,
            port_range=str(port),
            target=target,
            labels=self._args.labels,
            opts=pulumi.ResourceOptions.merge(self._inside, kept),
        )
