"""Which message of which API each type of resource becomes. No type is left out."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from infra.render.graph import Resource
from infra.render.values import Json
from tests.integration.infra.shape import discovery, protos
from tests.integration.infra.shape.fields import DiscoveryMessage, ProtoMessage
from tests.integration.infra.shape.own import API, IDENTITY, Own, member
from tests.integration.infra.shape.transform import as_message

Values = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A message, and how Pulumi's inputs become it.

    `address` are the inputs that travel in the URL; `provider` those that never leave
    the provider. `reshape` runs first, for what is built differently altogether.
    """

    proto: str = ""
    api: str = ""
    schema: str = ""
    address: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    reshape: Callable[[Values], Values] = dict

    def faults(self, inputs: Values) -> list[str]:
        """Return where the inputs do not become the message."""
        left = {
            key: value
            for key, value in inputs.items()
            if key not in {*self.address, *self.provider, "project"}
        }
        found: list[str] = []
        if self.proto:
            message = ProtoMessage(protos.descriptor(self.proto))
            value = as_message(self.reshape(left), message, renamed=self.renamed)
            found += protos.faults(value, message=self.proto)
        if self.api:
            described = DiscoveryMessage(self.api, self.schema)
            value = as_message(self.reshape(left), described, renamed=self.renamed)
            found += discovery.faults(value, api=self.api, schema=self.schema)
        return found


def faults(resource: Resource) -> list[str]:
    """Return where a resource is not what its API takes.

    :raises KeyError: nobody has said yet which message this type becomes.
    """
    shape = SHAPES[resource.type]
    return [f"{resource}: {fault}" for fault in shape.faults(dict(resource.inputs))]


def _compute(schema: str, *, renamed: Mapping[str, str] | None = None) -> Shape:
    return Shape(api="compute.v1", schema=schema, renamed=renamed or {})


def _network(values: Values) -> Values:
    left = {k: v for k, v in values.items() if k != "routingMode"}
    return {**left, "routingConfig": {"routingMode": values.get("routingMode")}}


def _dashboard(values: Values) -> Values:
    document = json.loads(str(values["dashboardJson"]))
    return cast("Values", document)


def _slo(values: Values) -> Values:
    """Nest the indicator, and turn days into a duration."""
    kinds = {
        "basicSli": "basicSli",
        "requestBasedSli": "requestBased",
        "windowsBasedSli": "windowsBased",
    }
    left = {k: v for k, v in values.items() if k not in {*kinds, "rollingPeriodDays"}}
    indicator = {kinds[k]: v for k, v in values.items() if k in kinds}
    days = values.get("rollingPeriodDays")
    period: Values = {"rollingPeriod": f"{int(str(days)) * 86_400}s"} if days else {}
    return {**left, **period, "serviceLevelIndicator": indicator}


def _own_service(values: Values) -> Values:
    return {**values, "custom": {}}


def _managed_certificate(values: Values) -> Values:
    return {"type": "MANAGED", **values}


def _cleanup_by_id(values: Values) -> Values:
    policies = values.get("cleanupPolicies")
    if not isinstance(policies, list):
        return values
    by_id: dict[str, Json] = {
        str(item["id"]): item for item in policies if isinstance(item, dict)
    }
    return {**values, "cleanupPolicies": by_id}


def _account(values: Values) -> Values:
    account = {k: v for k, v in values.items() if k != "accountId"}
    return {"accountId": values.get("accountId"), "serviceAccount": account}


_RUN = ("location", "deletionProtection", "deletionPolicy")

SHAPES: Mapping[str, "Shape | Own"] = {
    "gcp:projects/service:Service": API,
    "gcp:projects/serviceIdentity:ServiceIdentity": IDENTITY,
    # One member of one role: the provider reads, edits and writes a whole policy.
    "gcp:projects/iAMMember:IAMMember": member("project"),
    "gcp:serviceaccount/iAMMember:IAMMember": member("serviceAccountId"),
    "gcp:secretmanager/secretIamMember:SecretIamMember": member("secretId"),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": member(
        "repository"
    ),
    "gcp:cloudrunv2/serviceIamMember:ServiceIamMember": member("name"),
    "gcp:cloudrunv2/jobIamMember:JobIamMember": member("name"),
    "gcp:storage/bucketIAMMember:BucketIAMMember": member("bucket"),
    "gcp:billing/accountIamMember:AccountIamMember": member("billingAccountId"),
    "gcp:projects/iAMAuditConfig:IAMAuditConfig": Shape(
        api="cloudresourcemanager.v1", schema="AuditConfig"
    ),
    "gcp:projects/iAMCustomRole:IAMCustomRole": Shape(
        api="iam.v1",
        schema="Role",
        address=("roleId",),
        renamed={"permissions": "includedPermissions"},
    ),
    "gcp:serviceaccount/account:Account": Shape(
        api="iam.v1",
        schema="CreateServiceAccountRequest",
        reshape=_account,
        provider=("createIgnoreAlreadyExists",),
    ),
    "gcp:compute/network:Network": Shape(
        api="compute.v1", schema="Network", reshape=_network
    ),
    "gcp:compute/subnetwork:Subnetwork": _compute("Subnetwork"),
    "gcp:compute/firewall:Firewall": _compute("Firewall"),
    "gcp:compute/globalAddress:GlobalAddress": _compute("Address"),
    "gcp:servicenetworking/connection:Connection": Shape(
        api="servicenetworking.v1",
        schema="Connection",
        address=("service",),
        provider=("deletionPolicy", "updateOnCreationFail"),
    ),
    "gcp:networkconnectivity/serviceConnectionPolicy:ServiceConnectionPolicy": Shape(
        api="networkconnectivity.v1",
        schema="ServiceConnectionPolicy",
        address=("location", "name"),
    ),
    "gcp:sql/databaseInstance:DatabaseInstance": Shape(
        api="sqladmin.v1",
        schema="DatabaseInstance",
        provider=("deletionProtection", "finalBackupDescription"),
        renamed={
            "settings.diskSize": "dataDiskSizeGb",
            "settings.diskType": "dataDiskType",
            "settings.diskAutoresize": "storageAutoResize",
            "settings.diskAutoresizeLimit": "storageAutoResizeLimit",
        },
    ),
    "gcp:sql/database:Database": Shape(
        api="sqladmin.v1", schema="Database", provider=("deletionPolicy",)
    ),
    "gcp:sql/user:User": Shape(
        api="sqladmin.v1", schema="User", provider=("deletionPolicy",)
    ),
    "gcp:memorystore/instance:Instance": Shape(
        proto="memorystore.Instance",
        address=("instanceId", "location"),
        renamed={"desiredAutoCreatedEndpoints": "pscAutoConnections"},
    ),
    "gcp:artifactregistry/repository:Repository": Shape(
        api="artifactregistry.v1",
        schema="Repository",
        address=("repositoryId", "location"),
        reshape=_cleanup_by_id,
    ),
    "gcp:secretmanager/secret:Secret": Shape(
        api="secretmanager.v1",
        schema="Secret",
        address=("secretId",),
        provider=("deletionProtection",),
        renamed={"replication.auto": "automatic"},
    ),
    "gcp:cloudrunv2/service:Service": Shape(
        proto="run.Service",
        api="run.v2",
        schema="GoogleCloudRunV2Service",
        address=(*_RUN, "name"),
    ),
    "gcp:cloudrunv2/job:Job": Shape(
        proto="run.Job",
        api="run.v2",
        schema="GoogleCloudRunV2Job",
        address=(*_RUN, "name"),
    ),
    "gcp:compute/regionNetworkEndpointGroup:RegionNetworkEndpointGroup": Shape(
        api="compute.v1", schema="NetworkEndpointGroup", address=("region",)
    ),
    "gcp:compute/backendService:BackendService": _compute(
        "BackendService", renamed={"enableCdn": "enableCDN"}
    ),
    "gcp:compute/uRLMap:URLMap": _compute("UrlMap"),
    "gcp:compute/targetHttpsProxy:TargetHttpsProxy": _compute("TargetHttpsProxy"),
    "gcp:compute/targetHttpProxy:TargetHttpProxy": _compute("TargetHttpProxy"),
    "gcp:compute/globalForwardingRule:GlobalForwardingRule": _compute(
        "ForwardingRule",
        renamed={"ipAddress": "IPAddress", "ipProtocol": "IPProtocol"},
    ),
    "gcp:compute/sSLPolicy:SSLPolicy": _compute("SslPolicy"),
    "gcp:compute/managedSslCertificate:ManagedSslCertificate": Shape(
        api="compute.v1", schema="SslCertificate", reshape=_managed_certificate
    ),
    "gcp:compute/securityPolicy:SecurityPolicy": _compute("SecurityPolicy"),
    "gcp:compute/securityPolicyRule:SecurityPolicyRule": Shape(
        api="compute.v1", schema="SecurityPolicyRule", address=("securityPolicy",)
    ),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": Shape(
        api="iam.v1", schema="WorkloadIdentityPool", address=("workloadIdentityPoolId",)
    ),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": Shape(
        api="iam.v1",
        schema="WorkloadIdentityPoolProvider",
        address=("workloadIdentityPoolId", "workloadIdentityPoolProviderId"),
    ),
    "gcp:monitoring/alertPolicy:AlertPolicy": Shape(
        proto="monitoring.AlertPolicy", api="monitoring.v3", schema="AlertPolicy"
    ),
    "gcp:monitoring/notificationChannel:NotificationChannel": Shape(
        proto="monitoring.NotificationChannel",
        api="monitoring.v3",
        schema="NotificationChannel",
        provider=("forceDelete",),
    ),
    "gcp:monitoring/customService:CustomService": Shape(
        proto="monitoring.Service",
        api="monitoring.v3",
        schema="Service",
        address=("serviceId",),
        reshape=_own_service,
    ),
    "gcp:monitoring/slo:Slo": Shape(
        proto="monitoring.ServiceLevelObjective",
        api="monitoring.v3",
        schema="ServiceLevelObjective",
        address=("service", "sloId"),
        reshape=_slo,
    ),
    "gcp:monitoring/uptimeCheckConfig:UptimeCheckConfig": Shape(
        proto="monitoring.UptimeCheckConfig",
        api="monitoring.v3",
        schema="UptimeCheckConfig",
    ),
    "gcp:monitoring/dashboard:Dashboard": Shape(
        proto="dashboards.Dashboard", reshape=_dashboard
    ),
    "gcp:logging/metric:Metric": Shape(api="logging.v2", schema="LogMetric"),
    "gcp:billing/budget:Budget": Shape(
        api="billingbudgets.v1",
        schema="GoogleCloudBillingBudgetsV1Budget",
        address=("billingAccount",),
        renamed={"allUpdatesRule": "notificationsRule"},
    ),
}
