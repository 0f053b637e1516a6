"""Rules about Cloud Run: the service and the migration job."""

import re
from collections.abc import Iterator, Mapping

from infra.policy.rule import Json, Rule, Shown, at, mappings

SERVICE = "gcp:cloudrunv2/service:Service"
JOB = "gcp:cloudrunv2/job:Job"
_OLD_API = "gcp:cloudrun/*"
_PINNED_IMAGE = re.compile(r".+@sha256:[0-9a-f]{64}")
_PINNED_VERSION = re.compile(r"[1-9][0-9]*")
_DEFAULT_PROBE_SECONDS = 10.0


def _template(shown: Shown) -> str:
    # A job's tasks have a template inside the execution's.
    return "template" if shown.type == SERVICE else "template.template"


def _containers(shown: Shown) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for place, one in enumerate(shown.mappings(f"{_template(shown)}.containers")):
        yield f"container {one.get('name') or place}", one


def _traffic_is_ops(shown: Shown) -> Iterator[str]:
    if "traffics" in shown.props:
        yield "declares `traffics`: traffic belongs to ops, an `up` would undo it"


def _not_the_old_api(shown: Shown) -> Iterator[str]:
    yield f"{shown.type}: its updates replace the traffic; use cloudrunv2"


def _pinned_images(shown: Shown) -> Iterator[str]:
    for name, container in _containers(shown):
        image = container.get("image")
        if not _PINNED_IMAGE.fullmatch(str(image)):
            yield f"{name}: image {image!r} is not named by its digest"


def _pinned_secrets(shown: Shown) -> Iterator[str]:
    for name, container in _containers(shown):
        for variable in mappings(container, "envs"):
            reference = at(variable, "valueSource.secretKeyRef")
            if reference is not None:
                yield from _pinned(f"{name}: {variable.get('name')}", reference)
    for volume in shown.mappings(f"{_template(shown)}.volumes"):
        for item in mappings(volume, "secret.items"):
            yield from _pinned(f"volume {volume.get('name')}", item)


def _pinned(place: str, reference: Json) -> Iterator[str]:
    version = at(reference, "version")
    if not _PINNED_VERSION.fullmatch(str(version)):
        yield f"{place}: secret version {version!r} is not a number"


def _reaches_the_network(shown: Shown) -> Iterator[str]:
    access = f"{_template(shown)}.vpcAccess"
    if not list(shown.mappings(f"{access}.networkInterfaces")):
        yield "has no network interface in the VPC"
    if shown.at(f"{access}.connector") is not None:
        yield "has a connector beside or instead of direct egress"
    egress = shown.at(f"{access}.egress")
    if egress != "PRIVATE_RANGES_ONLY":
        yield f"egress is {egress!r}, not 'PRIVATE_RANGES_ONLY'"


def _works_between_requests(shown: Shown) -> Iterator[str]:
    for name, container in _containers(shown):
        if at(container, "resources.cpuIdle") is not False:
            yield f"{name}: cpuIdle must be false, in so many words"
    fewest = shown.at("scaling.minInstanceCount")
    if not isinstance(fewest, int | float) or fewest < 1:
        yield f"scaling.minInstanceCount is {fewest!r}, not 1 or more"


def _limited(shown: Shown) -> Iterator[str]:
    for name, container in _containers(shown):
        limits = at(container, "resources.limits")
        for resource in ("cpu", "memory"):
            if at(limits, resource) is None:
                yield f"{name}: has no limit of {resource}"


def _no_affinity(shown: Shown) -> Iterator[str]:
    if shown.at("template.sessionAffinity"):
        yield "template.sessionAffinity overrides the traffic split"


def _probed(shown: Shown) -> Iterator[str]:
    for name, container in _containers(shown):
        if not list(mappings(container, "ports")) and "ports" not in container:
            continue  # a sidecar
        for probe in ("startupProbe", "livenessProbe"):
            if at(container, f"{probe}.httpGet.path") is None:
                yield f"{name}: {probe} does not ask over HTTP"
            timeout = at(container, f"{probe}.timeoutSeconds") or 1
            period = at(container, f"{probe}.periodSeconds") or _DEFAULT_PROBE_SECONDS
            if float(str(timeout)) >= float(str(period)):
                yield f"{name}: {probe} may still run when its next is due"


def _own_account(shown: Shown) -> Iterator[str]:
    account = shown.at(f"{_template(shown)}.serviceAccount")
    if not account or str(account).endswith(
        ("-compute@developer.gserviceaccount.com", "@appspot.gserviceaccount.com")
    ):
        yield f"runs as {account!r}: the default account can do far too much"


RULES = (
    Rule(
        name="run-traffic-undeclared",
        promise="Traffic belongs to ops; no resource declares it.",
        types=(SERVICE,),
        faults=_traffic_is_ops,
    ),
    Rule(
        name="run-second-api",
        promise="Cloud Run is declared through its second API only.",
        types=(_OLD_API,),
        faults=_not_the_old_api,
    ),
    Rule(
        name="run-image-by-digest",
        promise="What runs is named by its digest.",
        types=(SERVICE, JOB),
        faults=_pinned_images,
    ),
    Rule(
        name="run-secret-by-version",
        promise="A secret is read by its version's number, so a rollback restores it.",
        types=(SERVICE, JOB),
        faults=_pinned_secrets,
    ),
    Rule(
        name="run-vpc-access",
        promise="Private addresses are reached directly, and only they.",
        types=(SERVICE, JOB),
        faults=_reaches_the_network,
    ),
    Rule(
        name="run-cpu-always-allocated",
        promise="An instance works between requests: sweeps, redelivery, heartbeats.",
        types=(SERVICE,),
        faults=_works_between_requests,
    ),
    Rule(
        name="run-limits",
        promise="Every container has limits; defaults are billed as well.",
        types=(SERVICE, JOB),
        faults=_limited,
    ),
    Rule(
        name="run-no-session-affinity",
        promise="Nothing overrides the traffic split.",
        types=(SERVICE,),
        faults=_no_affinity,
    ),
    Rule(
        name="run-probes",
        promise="An instance serves when it is ready and is replaced when it hangs.",
        types=(SERVICE,),
        faults=_probed,
    ),
    Rule(
        name="run-own-account",
        promise="Nothing runs as a default account.",
        types=(SERVICE, JOB),
        faults=_own_account,
    ),
)
