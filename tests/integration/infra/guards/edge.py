"""The load balancer and its firewall; staging has none."""

import re
from collections.abc import Iterator

from infra.render.graph import Graph
from service.contract import Path, Tag
from tests.integration.infra.guards.guard import (
    differs,
    guard,
    is_prod,
    without_dependency,
)
from tests.integration.infra.guards.kinds import (
    BACKEND,
    ENDPOINTS,
    FIREWALL,
    LISTENER,
    SERVICE,
    SSL_POLICY,
    URL_MAP,
)

# Sockets and long responses: a rule that inspects them cuts them.
_LONG_LIVED = (Path.SOCKET, Path.STREAM)


@guard()
def prod_has_an_edge_and_staging_none(graph: Graph) -> Iterator[str]:
    """Users of prod come through a load balancer with a firewall."""
    wanted = is_prod(graph)
    for type in (LISTENER, FIREWALL, BACKEND, SSL_POLICY):
        if bool(graph.by_type(type)) is not wanted:
            yield f"{type} must {'' if wanted else 'not '}be there"
    for backend in graph.by_type(BACKEND):
        if not backend.text("securityPolicy"):
            yield f"{backend} has no firewall"


@guard(11)
def the_platform_alone_ends_sockets(graph: Graph) -> Iterator[str]:
    """A serverless backend refuses a timeout, and upgrades need HTTP/1.1."""
    for backend in graph.by_type(BACKEND):
        if "timeoutSec" in backend.inputs:
            yield f"{backend} has a timeout"
        if "healthChecks" in backend.inputs:
            yield f"{backend} has health checks, which serverless endpoints refuse"
        if backend.text("protocol") not in {"HTTPS", "HTTP"}:
            yield f"{backend} speaks {backend.text('protocol')}"
        if backend.at("enableCdn"):
            yield f"{backend} caches"


@guard()
def the_firewall_leaves_sockets_alone(graph: Graph) -> Iterator[str]:
    """Inspecting rules only log, and exempt what lives long; throttles answer 429."""
    for firewall in graph.by_type(FIREWALL):
        for rule in firewall.every("rules[*]"):
            if not isinstance(rule, dict):
                continue
            text = str(rule)
            if "evaluatePreconfigured" in text:
                if rule.get("preview") is not True:
                    yield f"{firewall}: rule {rule['priority']} does not only log"
                for path in _LONG_LIVED:
                    if f"!request.path.startsWith('{path}')" not in text:
                        yield f"{firewall}: rule {rule['priority']} inspects {path}"
            if rule["action"] == "rate_based_ban":
                yield f"{firewall}: rule {rule['priority']} bans whole offices"
            if rule["action"] == "throttle" and "deny(429)" not in text:
                yield f"{firewall}: rule {rule['priority']} does not say 429"


@guard()
def the_firewall_says_what_google_takes(graph: Graph) -> Iterator[str]:
    """Expressions are short, with few parts, without lists and inline flags."""
    for firewall in graph.by_type(FIREWALL):
        priorities = firewall.every("rules[*].priority")
        if len(set(priorities)) != len(priorities):
            yield f"{firewall} has two rules of one priority"
        if 2_147_483_647 not in priorities:
            yield f"{firewall} has no last rule"
        for value in firewall.every("rules[*].match.expr.expression"):
            expression = str(value)
            if len(expression) > 2048 or len(re.split(r"&&|\|\|", expression)) > 5:
                yield f"{firewall}: too long for one rule: {expression}"
            if re.search(r" in \[|\(\?[a-z]", expression):
                yield f"{firewall}: Google refuses {expression}"


@guard()
def only_operators_see_the_candidate(graph: Graph) -> Iterator[str]:
    """The candidate's host leads to its tag, behind a firewall that denies the rest."""
    if not is_prod(graph):
        return
    tagged = [
        e for e in graph.by_type(ENDPOINTS) if e.text("cloudRun.tag") == Tag.CANDIDATE
    ]
    if len(tagged) != 1:
        yield f"{len(tagged)} ways lead to the candidate"
        return
    backends = [b for b in graph.by_type(BACKEND) if graph.depends(b, tagged[0])]
    for backend in backends:
        for firewall in graph.by_type(FIREWALL):
            if firewall.outputs["id"] != backend.at("securityPolicy"):
                continue
            last = [
                rule
                for rule in firewall.every("rules[*]")
                if isinstance(rule, dict) and rule["priority"] == 2_147_483_647
            ]
            if [rule["action"] for rule in last] != ["deny(403)"]:
                yield f"{firewall} lets everybody see the candidate"
    hosts = [
        h for m in graph.by_type(URL_MAP) for h in m.every("hostRules[*].hosts[*]")
    ]
    if f"{Tag.CANDIDATE}.{graph.config['event-service:domain']}" not in hosts:
        yield f"no host leads to the candidate: {hosts}"


@guard()
def the_edge_speaks_modern_tls_only(graph: Graph) -> Iterator[str]:
    """TLS 1.2 at least; plain HTTP is only sent away."""
    for policy in graph.by_type(SSL_POLICY):
        yield from differs(policy, "minTlsVersion", "TLS_1_2")
    for listener in graph.by_type(LISTENER):
        plain = listener.text("portRange") == "80"
        for url_map in graph.by_type(URL_MAP):
            redirect = url_map.at("defaultUrlRedirect.httpsRedirect") is True
            if plain and graph.depends(listener, url_map) and not redirect:
                yield f"{listener} serves without encryption"


@guard(13, 21)
def the_edge_waits_for_the_service(graph: Graph) -> Iterator[str]:
    """What stands before the service is made after it."""
    for endpoints in graph.by_type(ENDPOINTS):
        yield from without_dependency(graph, endpoints, SERVICE)
