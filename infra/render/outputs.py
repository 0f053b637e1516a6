"""What the cloud would compute, in its own shapes and with made-up numbers.

Only what the program reads is here. A forgotten entry is seen: under preview, an
output that nobody supplied stays unknown, and a test finds it in the graph.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

PROJECT_NUMBER = "123456789012"
_UNIQUE_ID = "100000000000000000001"
_SUFFIX = "a1b2c3d"  # what the provider appends where no name is given
_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nrendered\n-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One resource that the cloud is asked for."""

    type: str
    label: str
    inputs: Mapping[str, object]
    project: str
    region: str

    @property
    def name(self) -> str:
        """The physical name: the one asked for, or the provider's own."""
        given = self.inputs.get("name")
        return str(given) if given else f"{self.label}-{_SUFFIX}"

    def text(self, key: str, default: str = "") -> str:
        value = self.inputs.get(key)
        return str(value) if value else default

    @property
    def place(self) -> str:
        return self.text("location", self.text("region", self.region))

    @property
    def regional(self) -> str:
        return f"projects/{self.project}/locations/{self.place}"

    @property
    def compute(self) -> str:
        return f"projects/{self.project}/global"


Answer = Callable[[Asked], dict[str, object]]


def computed(
    *,
    type: str,
    name: str,
    inputs: Mapping[str, object],
    project: str,
    region: str,
) -> tuple[str, dict[str, object]]:
    """Return a resource's id and all its outputs."""
    asked = Asked(type=type, label=name, inputs=inputs, project=project, region=region)
    answer = _ANSWERS.get(type)
    added = answer(asked) if answer else {}
    outputs: dict[str, object] = {
        "name": asked.name,
        "project": project,
        **inputs,
        **added,
    }
    identity = outputs.pop("id", f"projects/{project}/{asked.name}")
    return str(identity), outputs


def invoked(token: str, *, project: str) -> dict[str, object] | None:
    """Return a data source's answer, or None where there is none."""
    match token:
        case "gcp:organizations/getProject:getProject":
            return {"number": PROJECT_NUMBER, "projectId": project, "id": project}
        case _:
            return None


def _account(asked: Asked) -> dict[str, object]:
    email = f"{asked.text('accountId')}@{asked.project}.iam.gserviceaccount.com"
    path = f"projects/{asked.project}/serviceAccounts/{email}"
    return {
        "id": path,
        "name": path,
        "email": email,
        "member": f"serviceAccount:{email}",
        "uniqueId": _UNIQUE_ID,
    }


def _custom_role(asked: Asked) -> dict[str, object]:
    path = f"projects/{asked.project}/roles/{asked.text('roleId')}"
    return {"id": path, "name": path}


def _global(collection: str) -> Answer:
    def answer(asked: Asked) -> dict[str, object]:
        path = f"{asked.compute}/{collection}/{asked.name}"
        return {"id": path, "selfLink": f"https://www.googleapis.com/compute/v1/{path}"}

    return answer


def _regional_compute(collection: str) -> Answer:
    def answer(asked: Asked) -> dict[str, object]:
        path = f"projects/{asked.project}/regions/{asked.place}/{collection}"
        path = f"{path}/{asked.name}"
        return {"id": path, "selfLink": f"https://www.googleapis.com/compute/v1/{path}"}

    return answer


def _regional(collection: str) -> Answer:
    def answer(asked: Asked) -> dict[str, object]:
        return {"id": f"{asked.regional}/{collection}/{asked.name}"}

    return answer


def _global_address(asked: Asked) -> dict[str, object]:
    path = f"{asked.compute}/addresses/{asked.name}"
    internal = asked.text("addressType") == "INTERNAL"
    address = asked.text("address", "10.0.16.0" if internal else "203.0.113.10")
    return {
        "id": path,
        "address": address,
        "selfLink": f"https://www.googleapis.com/compute/v1/{path}",
    }


def _database(asked: Asked) -> dict[str, object]:
    return {
        "id": asked.name,
        "connectionName": f"{asked.project}:{asked.place}:{asked.name}",
        "privateIpAddress": "10.0.16.3",
        "firstIpAddress": "10.0.16.3",
        "serverCaCerts": [
            {
                "cert": _CERTIFICATE,
                "commonName": "rendered",
                "createTime": "2026-01-01T00:00:00Z",
                "expirationTime": "2036-01-01T00:00:00Z",
                "sha1Fingerprint": "0" * 40,
            }
        ],
    }


def _valkey(asked: Asked) -> dict[str, object]:
    return {
        "id": f"{asked.regional}/instances/{asked.text('instanceId')}",
        "endpoints": [
            {
                "connections": [
                    {
                        "pscAutoConnection": {
                            "ipAddress": "10.0.0.5",
                            "port": 6379,
                            "connectionType": "CONNECTION_TYPE_PRIMARY",
                        }
                    }
                ]
            }
        ],
        "managedServerCas": [{"caCerts": [{"certificates": [_CERTIFICATE]}]}],
    }


def _registry(asked: Asked) -> dict[str, object]:
    repository = asked.text("repositoryId")
    return {
        "id": f"{asked.regional}/repositories/{repository}",
        "name": repository,
        "registryUri": f"{asked.place}-docker.pkg.dev/{asked.project}/{repository}",
    }


def _service(asked: Asked) -> dict[str, object]:
    uri = f"https://{asked.name}-{PROJECT_NUMBER}.{asked.place}.run.app"
    return {
        "id": f"{asked.regional}/services/{asked.name}",
        "uri": uri,
        "urls": [uri],
        "latestReadyRevision": f"{asked.name}-00001-abc",
        "latestCreatedRevision": f"{asked.name}-00001-abc",
    }


def _secret(asked: Asked) -> dict[str, object]:
    path = f"projects/{asked.project}/secrets/{asked.text('secretId')}"
    return {"id": path, "name": path}


def _pool(asked: Asked) -> dict[str, object]:
    pool = asked.text("workloadIdentityPoolId")
    path = f"projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/{pool}"
    return {"id": path, "name": path}


def _pool_provider(asked: Asked) -> dict[str, object]:
    base = _pool(asked)["name"]
    path = f"{base}/providers/{asked.text('workloadIdentityPoolProviderId')}"
    return {"id": path, "name": path}


def _monitored(collection: str) -> Answer:
    def answer(asked: Asked) -> dict[str, object]:
        path = f"projects/{asked.project}/{collection}/{asked.label}"
        return {"id": path, "name": path}

    return answer


def _slo_service(asked: Asked) -> dict[str, object]:
    path = f"projects/{asked.project}/services/{asked.text('serviceId')}"
    return {"id": path, "name": path}


def _slo(asked: Asked) -> dict[str, object]:
    service, slo = asked.text("service"), asked.text("sloId")
    path = f"projects/{asked.project}/services/{service}/serviceLevelObjectives/{slo}"
    return {"id": path, "name": path}


def _uptime(asked: Asked) -> dict[str, object]:
    path = f"projects/{asked.project}/uptimeCheckConfigs/{asked.label}"
    return {"id": path, "name": path, "uptimeCheckId": asked.label}


def _bucket(asked: Asked) -> dict[str, object]:
    return {"id": asked.name, "url": f"gs://{asked.name}"}


_ANSWERS: dict[str, Answer] = {
    "gcp:artifactregistry/repository:Repository": _registry,
    "gcp:certificatemanager/certificate:Certificate": _regional("certificates"),
    "gcp:certificatemanager/certificateMap:CertificateMap": _regional(
        "certificateMaps"
    ),
    "gcp:cloudrunv2/job:Job": _regional("jobs"),
    "gcp:cloudrunv2/service:Service": _service,
    "gcp:compute/backendBucket:BackendBucket": _global("backendBuckets"),
    "gcp:compute/backendService:BackendService": _global("backendServices"),
    "gcp:compute/globalAddress:GlobalAddress": _global_address,
    "gcp:compute/globalForwardingRule:GlobalForwardingRule": _global("forwardingRules"),
    "gcp:compute/managedSslCertificate:ManagedSslCertificate": _global(
        "sslCertificates"
    ),
    "gcp:compute/network:Network": _global("networks"),
    "gcp:compute/regionNetworkEndpointGroup:RegionNetworkEndpointGroup": (
        _regional_compute("networkEndpointGroups")
    ),
    "gcp:compute/securityPolicy:SecurityPolicy": _global("securityPolicies"),
    "gcp:compute/sSLPolicy:SSLPolicy": _global("sslPolicies"),
    "gcp:compute/subnetwork:Subnetwork": _regional_compute("subnetworks"),
    "gcp:compute/targetHttpProxy:TargetHttpProxy": _global("targetHttpProxies"),
    "gcp:compute/targetHttpsProxy:TargetHttpsProxy": _global("targetHttpsProxies"),
    "gcp:compute/uRLMap:URLMap": _global("urlMaps"),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": _pool,
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": (
        _pool_provider
    ),
    "gcp:memorystore/instance:Instance": _valkey,
    "gcp:monitoring/alertPolicy:AlertPolicy": _monitored("alertPolicies"),
    "gcp:monitoring/customService:CustomService": _slo_service,
    "gcp:monitoring/dashboard:Dashboard": _monitored("dashboards"),
    "gcp:monitoring/genericService:GenericService": _slo_service,
    "gcp:monitoring/notificationChannel:NotificationChannel": _monitored(
        "notificationChannels"
    ),
    "gcp:monitoring/slo:Slo": _slo,
    "gcp:monitoring/uptimeCheckConfig:UptimeCheckConfig": _uptime,
    "gcp:projects/iAMCustomRole:IAMCustomRole": _custom_role,
    "gcp:secretmanager/secret:Secret": _secret,
    "gcp:serviceaccount/account:Account": _account,
    "gcp:sql/databaseInstance:DatabaseInstance": _database,
    "gcp:storage/bucket:Bucket": _bucket,
}
