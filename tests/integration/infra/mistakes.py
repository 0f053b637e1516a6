"""The deliberate mistakes: where each is planted, and which rung must catch it.

The rungs, from the cheapest: `types` (mypy reads a copy of a source), `run` (the copy
is rendered and fails), `shape` (Google's description refuses it), `invariant` (a
guard's promise). docs/infrastructure.md shows the same table.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.render.values import Json
from tests.integration.infra.guards.change import Change, opts, sets
from tests.integration.infra.guards.kinds import ALERT, SERVICE, SLO

_APP = "template.containers[0]"
_QUERY = "conditions[0].conditionPrometheusQueryLanguage"
_SERVICE_FILE = "infra/event_service.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A mistake in a copy of a source: the one place that reads `before`."""

    file: str = _SERVICE_FILE
    before: str
    after: str
    expected: str  # a part of what is said about it


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A wrong value in prod's graph, and the guard or message that finds it."""

    change: Change
    found_by: str


_EGRESS = 'egress="PRIVATE_RANGES_ONLY",'
_SETTINGS = "settings=_settings(args),"

TYPES: Mapping[str, Source] = {
    "an unknown key in a nested dict": Source(
        file="infra/database.py",
        before=_SETTINGS,
        after='settings={"tier": args.tier, "editon": "ENTERPRISE"},',
        expected='No overload variant of "DatabaseInstance"',
    ),
    "a camelCase key in a nested dict": Source(
        file="infra/database.py",
        before=_SETTINGS,
        after='settings={"tier": args.tier, "diskSize": args.disk_gb},',
        expected='No overload variant of "DatabaseInstance"',
    ),
    "a nested value of the wrong type": Source(
        before="failure_threshold=36,",
        after='failure_threshold="often",',
        expected='incompatible type "str"',
    ),
    "an unknown argument": Source(
        before="invoker_iam_disabled=True,",
        after="invoker_iam_off=True,",
        expected="No overload variant",
    ),
    "a missing key in a nested dict": Source(
        file="infra/database.py",
        before=_SETTINGS,
        after='settings={"edition": "ENTERPRISE"},',
        expected='No overload variant of "DatabaseInstance"',
    ),
    "an unknown argument of an Args class": Source(
        before=_EGRESS,
        after='egres="PRIVATE_RANGES_ONLY",',
        expected='Unexpected keyword argument "egres"',
    ),
    "a missing argument of an Args class": Source(
        before="secret=args.secrets[key].secret_id, version=str(version)",
        after="version=str(version)",
        expected='Missing named argument "secret"',
    ),
    "a dict where a list is wanted": Source(
        before="containers=[_app(args), _collector(args)],",
        after='containers={"app": _app(args)},',
        expected='incompatible type "dict[',
    ),
    "a number where text is wanted": Source(
        before='"cpu": str(config.cpu)',
        after='"cpu": config.cpu',
        expected='"str": "int"',
    ),
    "an output that does not exist": Source(
        before='{"service": self.service.name}',
        after='{"service": self.service.names}',
        expected='has no attribute "names"',
    ),
}

# Not a mistake: what the checker complains about above is not the dict itself.
SOUND_DICT = Source(
    file="infra/database.py",
    before=_SETTINGS,
    after='settings={"tier": args.tier, "edition": "ENTERPRISE"},',
    expected="",
)

# The provider's classes make every argument optional for the checker, so what is
# missing at the top is found only here.
RUN: Mapping[str, Source] = {
    "an unknown argument": Source(
        before="invoker_iam_disabled=True,",
        after="invoker_iam_off=True,",
        expected="unexpected keyword argument 'invoker_iam_off'",
    ),
    "a missing required argument": Source(
        file="infra/cache.py",
        before='            service_class="gcp-memorystore",\n',
        after="",
        expected="Missing required property 'service_class'",
    ),
    "a dict where a list is wanted": Source(
        before="containers=[_app(args), _collector(args)],",
        after='containers={"app": _app(args)},',
        expected="Unexpected type",
    ),
    "an output that does not exist": Source(
        before='{"service": self.service.name}',
        after='{"service": self.service.names}',
        expected="has no attribute 'names'",
    ),
}

SHAPE: Mapping[str, Value] = {
    "a word that no enum has": Value(
        change=sets(SERVICE, "ingress", "INGRESS_TRAFFIC_EVERYBODY"),
        found_by="INGRESS_TRAFFIC_EVERYBODY",
    ),
    "a malformed duration": Value(
        change=sets(SERVICE, "template.timeout", "10 minutes"), found_by="10 minutes"
    ),
    "two indicators of one objective": Value(
        change=sets(
            SLO, "windowsBasedSli", {"windowPeriod": "60s", "goodBadMetricFilter": "x"}
        ),
        found_by="oneof",
    ),
}

_CONNECTOR: Json = "projects/p/locations/l/connectors/c"

INVARIANT: Mapping[str, Value] = {
    "memory that does not fit the processors": Value(
        change=sets(SERVICE, f"{_APP}.resources.limits.memory", "32Gi"),
        found_by="memory_fits_the_processors",
    ),
    "a connector beside direct egress": Value(
        change=sets(SERVICE, "template.vpcAccess.connector", _CONNECTOR),
        found_by="reaches_private_addresses_directly",
    ),
    "a query that does not parse": Value(
        change=sets(ALERT, f"{_QUERY}.query", "sum(rate(published_total[5m])"),
        found_by="queries_parse",
    ),
    "a query whose types do not fit": Value(
        change=sets(ALERT, f"{_QUERY}.query", "rate(published_total)"),
        found_by="queries_parse",
    ),
    "an interval of 45 seconds": Value(
        change=sets(ALERT, f"{_QUERY}.evaluationInterval", "45s"),
        found_by="rules_are_what_monitoring_evaluates",
    ),
    "a misspelt name of what is ignored": Value(
        change=opts(SERVICE, ignore_changes=("client", "client_version")),
        found_by="only_the_last_writer_is_ignored",
    ),
}

# Declared in the source: the second one is a resource of the same URN.
DUPLICATE = Source(
    file="infra/apis.py",
    before='    "storage",\n',
    after='    "storage",\n    "storage",\n',
    expected="apis-storage",
)
