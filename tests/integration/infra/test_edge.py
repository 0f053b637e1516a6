"""`infra.edge`: TLS before the service, floods throttled, sockets left alone."""

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any, cast

import pulumi
import pytest
from pulumi_gcp import cloudrunv2

from infra.edge import Edge, EdgeArgs
from infra.edge.expression import (
    any_of,
    attack_pattern,
    but_none_of,
    path_starts_with,
)
from infra.render.graph import Graph
from service.contract import Path, Tag
from tests.integration.infra.component import REGION, rendered

Rule = Mapping[str, Any]

_DOMAIN = "events.example.com"
_OPERATORS = IPv4Network("198.51.100.0/24")
_LAST = 2_147_483_647

# Everything that a rule may say, and nothing else: no `in [...]`, no pattern flags.
_PATH_TERM = r"request\.path\.startsWith\('(?P<path>/[a-z0-9/_-]+)'\)"
_WAF_TERM = r"evaluatePreconfiguredWaf\('[a-z]+-v33-stable', \{'sensitivity': 1\}\)"
_TERM = re.compile(rf"!?(?:{_PATH_TERM}|{_WAF_TERM})")


def _edge(*operator_ranges: IPv4Network) -> Graph:
    def declare() -> None:
        service = cloudrunv2.Service(
            "service",
            location=REGION,
            template=cloudrunv2.ServiceTemplateArgs(timeout="600s"),
        )
        Edge(
            "edge",
            EdgeArgs(
                region=REGION,
                service_name=service.name,
                domain=_DOMAIN,
                operator_ranges=operator_ranges,
                labels={"app": "event-service"},
                protected=True,
                after=[],
            ),
        )

    return rendered(declare)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return _edge(_OPERATORS)


def _rules(graph: Graph, part: str) -> Sequence[Rule]:
    found = graph.by_name(f"edge-{part}-firewall").at("rules")
    return sorted(cast("list[Rule]", found), key=lambda rule: rule["priority"])


def _expressions(graph: Graph) -> Iterator[str]:
    for part in ("public", "candidate"):
        for rule in _rules(graph, part):
            if "expr" in rule["match"]:
                yield rule["match"]["expr"]["expression"]


def _matches(rule: Rule, *, path: str, attack: bool) -> bool:
    if "expr" not in rule["match"]:
        return bool(rule["match"]["config"]["srcIpRanges"] == ["*"])
    text = rule["match"]["expr"]["expression"]
    combine = any if "||" in text else all
    return combine(
        _holds(term, path, attack) for term in re.split(r" && | \|\| ", text)
    )


def _holds(term: str, path: str, attack: bool) -> bool:
    found = re.search(_PATH_TERM, term)
    held = path.startswith(found["path"]) if found else attack
    return not held if term.startswith("!") else held


def _deciding(rules: Sequence[Rule], *, path: str, enforced: bool) -> Rule:
    """Return the first rule that decides about what looks like an attack."""
    return next(
        rule
        for rule in rules
        if _matches(rule, path=path, attack=True)
        and (enforced or not rule.get("preview"))
    )


def test_sockets_live_as_long_as_the_service_lets_them(graph: Graph) -> None:
    """No backend has a timeout, which a serverless one refuses, or a health check."""
    backends = graph.by_type("gcp:compute/backendService:BackendService")

    assert 2 == len(backends)
    for backend in backends:
        assert not {"timeoutSec", "healthChecks", "maxStreamDuration"} & set(
            backend.inputs
        )
        assert "EXTERNAL_MANAGED" == backend.at("loadBalancingScheme")
        assert backend.at("protocol") in {"HTTP", "HTTPS"}


def test_nothing_overrides_the_traffic_split(graph: Graph) -> None:
    """No cookie or affinity ties a client to a revision, and nothing is cached."""
    for backend in graph.by_type("gcp:compute/backendService:BackendService"):
        affine = {key for key in backend.inputs if "ffinity" in key or "ookie" in key}

        assert set() == affine
        assert not {"enableCdn", "cdnPolicy"} & set(backend.inputs)


def test_each_host_has_a_certificate_of_its_own(graph: Graph) -> None:
    """Both hosts are named in full: managed certificates take no wildcard."""
    certificates = graph.by_type(
        "gcp:compute/managedSslCertificate:ManagedSslCertificate"
    )

    assert [[f"candidate.{_DOMAIN}"], [_DOMAIN]] == sorted(
        cast("list[str]", one.at("managed.domains")) for one in certificates
    )


def test_only_modern_tls_and_no_plain_http(graph: Graph) -> None:
    """TLS 1.2 is the least; port 80 leads to port 443 of the same address."""
    proxy = graph.by_name("edge-https")
    policy = graph.by_name("edge-tls")
    redirect = graph.by_name("edge-redirect")
    listeners = {
        rule.at("portRange"): rule.at("ipAddress")
        for rule in graph.by_type(
            "gcp:compute/globalForwardingRule:GlobalForwardingRule"
        )
    }

    assert "TLS_1_2" == policy.at("minTlsVersion")
    assert graph.depends(proxy, policy)
    assert redirect.at("defaultUrlRedirect.httpsRedirect") is True
    assert redirect.at("defaultService") is None
    assert {"80", "443"} == set(listeners)
    assert 1 == len(set(map(str, listeners.values())))


def test_expressions_stay_within_the_vocabulary(graph: Graph) -> None:
    """Each expression is up to five known terms, joined by one operator."""
    for text in _expressions(graph):
        terms = re.split(r" && | \|\| ", text)

        assert all(_TERM.fullmatch(term) for term in terms), text
        assert len(terms) <= 5
        assert len(text) <= 2048
        assert not ("&&" in text and "||" in text)


@pytest.mark.parametrize(
    "path", [Path.SOCKET, Path.STREAM, Path.TICKETS, Path.POLL, Path.ACKS, Path.AGUI]
)
@pytest.mark.parametrize("enforced", [False, True])
def test_no_attack_pattern_ever_stops_delivery(
    graph: Graph, path: Path, enforced: bool
) -> None:
    """Were the patterns enforced, sockets would still only be throttled, and later."""
    rules = _rules(graph, "public")
    delivery = _deciding(rules, path=path, enforced=enforced)
    others = _deciding(rules, path="/console", enforced=False)

    assert "throttle" == delivery["action"]
    assert _count(others) < _count(delivery)


def _count(rule: Rule) -> int:
    return int(rule["rateLimitOptions"]["rateLimitThreshold"]["count"])


@pytest.mark.parametrize("enforced", [False, True])
def test_what_agents_say_is_never_taken_for_an_attack(
    graph: Graph, enforced: bool
) -> None:
    """Published events may hold SQL and code."""
    rule = _deciding(_rules(graph, "public"), path=Path.EVENTS, enforced=enforced)

    assert "throttle" == rule["action"]


def test_attack_patterns_only_log(graph: Graph) -> None:
    """Every pattern is in preview and leaves the socket's path out by itself."""
    patterns = [
        rule
        for rule in _rules(graph, "public")
        if "evaluatePreconfiguredWaf" in str(rule["match"])
    ]

    assert patterns
    for rule in patterns:
        exempt = f"!request.path.startsWith('{Path.SOCKET}')"
        assert rule["preview"] is True
        assert exempt in rule["match"]["expr"]["expression"]


def test_nobody_is_banned(graph: Graph) -> None:
    """An office behind one address is slowed down, never shut out."""
    limits = [rule for rule in _rules(graph, "public") if "rateLimitOptions" in rule]

    assert limits
    for rule in limits:
        assert "throttle" == rule["action"]
        assert "IP" == rule["rateLimitOptions"]["enforceOnKey"]
        assert not {"banDurationSec", "banThreshold"} & set(rule["rateLimitOptions"])


def test_priorities_are_unique_and_end_with_the_default(graph: Graph) -> None:
    """A policy must end with a rule for everybody; two equal priorities clash."""
    for part in ("public", "candidate"):
        priorities = [rule["priority"] for rule in _rules(graph, part)]

        assert len(set(priorities)) == len(priorities)
        assert _LAST == priorities[-1]


def test_only_the_candidates_host_leads_to_the_candidate(graph: Graph) -> None:
    """The tagged revision is behind its own host, endpoints and firewall."""
    routes = graph.by_name("edge-routes")
    candidate = graph.by_name("edge-candidate-backend")
    endpoints = graph.by_name("edge-candidate-endpoints")

    assert [[f"candidate.{_DOMAIN}"]] == list(routes.every("hostRules[*].hosts"))
    assert str(routes.at("pathMatchers[0].defaultService")).endswith(
        str(candidate.outputs.get("name", "edge-candidate-backend"))
    )
    assert "edge-public-backend" in str(routes.at("defaultService"))
    assert Tag.CANDIDATE == endpoints.at("cloudRun.tag")
    assert graph.by_name("edge-public-endpoints").at("cloudRun.tag") is None
    assert graph.depends(candidate, graph.by_name("edge-candidate-firewall"))


def test_only_operators_reach_the_candidate(graph: Graph) -> None:
    """The operators' networks are allowed, everybody else is denied."""
    rules = _rules(graph, "candidate")

    assert [
        ("allow", [str(_OPERATORS)]),
        ("deny(403)", ["*"]),
    ] == [(rule["action"], rule["match"]["config"]["srcIpRanges"]) for rule in rules]


def test_many_operators_are_spread_over_rules() -> None:
    """A rule takes ten networks; the eleventh goes into the next."""
    networks = [IPv4Network(f"198.51.100.{host}/32") for host in range(11)]
    rules = _rules(_edge(*networks), "candidate")

    assert [10, 1, 1] == [len(rule["match"]["config"]["srcIpRanges"]) for rule in rules]


def test_without_operators_nobody_reaches_the_candidate() -> None:
    """No network means nobody, not everybody."""
    assert ["deny(403)"] == [rule["action"] for rule in _rules(_edge(), "candidate")]


def test_service_comes_first(graph: Graph) -> None:
    """Endpoints name a service that exists by then."""
    service = graph.by_name("service")

    for part in ("public", "candidate"):
        assert graph.depends(graph.by_name(f"edge-{part}-endpoints"), service)


def test_every_request_is_logged(graph: Graph) -> None:
    """What the firewall saw can be read afterwards."""
    for backend in graph.by_type("gcp:compute/backendService:BackendService"):
        assert backend.at("logConfig.enable") is True
        assert 1 == backend.at("logConfig.sampleRate")


@pytest.mark.parametrize("path", ["", "events", "/a'b", "/a\\b", "/(?i)a", "/A", "/ "])
def test_no_path_breaks_out_of_its_quotes(path: str) -> None:
    """Only plain paths become part of an expression."""
    with pytest.raises(AssertionError, match="plain path"):
        path_starts_with(path)


@pytest.mark.parametrize("rule_set", ["sqli", "sqli-v33-canary", "'-v33-stable", ""])
def test_only_known_kinds_of_rule_sets(rule_set: str) -> None:
    """A rule set that Google does not keep is refused before Google sees it."""
    with pytest.raises(AssertionError, match="rule set"):
        attack_pattern(rule_set)


def test_sixth_term_is_refused() -> None:
    """One rule takes five terms, exceptions counted."""
    path = path_starts_with(Path.SOCKET)
    pattern = attack_pattern("sqli-v33-stable")

    assert 5 == but_none_of(pattern, path, path, path, path).terms
    with pytest.raises(AssertionError, match="5 terms"):
        any_of(path, path, path, path, path, path)
    with pytest.raises(AssertionError, match="5 terms"):
        but_none_of(pattern, path, path, path, path, path)


def test_prod_keeps_its_edge(graph: Graph) -> None:
    """Both listeners are protected, and all the rest goes only after them."""
    listeners = graph.by_type("gcp:compute/globalForwardingRule:GlobalForwardingRule")
    parts = [part for part in graph.custom() if part.name.startswith("edge-")]

    assert [True, True] == [listener.protect for listener in listeners]
    for part in parts:
        reached = any(graph.depends(listener, part) for listener in listeners)
        assert part in listeners or reached, part


def test_urls_are_known_at_once() -> None:
    """The public and the candidate's address follow from the domain alone."""
    seen: list[tuple[str, str]] = []

    def declare() -> None:
        edge = Edge(
            "edge",
            EdgeArgs(
                region=REGION,
                service_name=pulumi.Output.from_input("event-service"),
                domain=_DOMAIN,
                operator_ranges=(),
                labels={},
                protected=True,
                after=[],
            ),
        )
        seen.append((edge.url, edge.candidate_url))

    rendered(declare)

    assert [(f"https://{_DOMAIN}", f"https://candidate.{_DOMAIN}")] == seen
