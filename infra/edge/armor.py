"""Cloud Armor's rules: how much one address may ask for, and who may see a candidate.

The first rule that matches decides, and one in preview only writes to the log. So the
order is part of the meaning: delivery, then attack patterns, then everything else.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network

from pulumi_gcp import compute

from infra.edge.expression import (
    Expression,
    any_of,
    attack_pattern,
    but_none_of,
    path_starts_with,
)
from service.contract import Path

# Requests of one address in a minute. Whole offices share an address, so nobody is
# banned, and a limit is far above what one person's pages ask for: it stops floods.
_SOCKETS_A_MINUTE = 12_000
_PUBLISHES_A_MINUTE = 60_000  # the service has quotas of its own, per publisher
_OTHERS_A_MINUTE = 3_000

# Where sockets are opened, and what stands in for them. A move of all clients of an
# office must not look like a flood.
_SOCKETS = (Path.SOCKET, Path.STREAM, Path.AGUI)
_AROUND_SOCKETS = (Path.TICKETS, Path.POLL, Path.ACKS)

# Events carry whatever agents say, code and SQL included; a socket is no request that
# these patterns were written for.
_UNFILTERED = (Path.SOCKET, Path.STREAM, Path.EVENTS)

_PATTERNS = (
    "sqli-v33-stable",
    "xss-v33-stable",
    "lfi-v33-stable",
    "rce-v33-stable",
    "scannerdetection-v33-stable",
)

_MOST_RANGES = 10  # of one rule
_LAST = 2_147_483_647  # the priority of the rule that every policy must end with
_EVERYWHERE = "*"


def public_rules() -> list[compute.SecurityPolicyRuleArgs]:
    """Return the rules of what everybody may reach."""
    return [
        _limit(1000, "Sockets and streams", _starts(_SOCKETS), _SOCKETS_A_MINUTE),
        _limit(1010, "Around them", _starts(_AROUND_SOCKETS), _SOCKETS_A_MINUTE),
        _limit(1020, "Publishing", _starts((Path.EVENTS,)), _PUBLISHES_A_MINUTE),
        *(_watch(2000 + 10 * i, name) for i, name in enumerate(_PATTERNS)),
        _limit(3000, "Everything else", None, _OTHERS_A_MINUTE),
        _for_ranges(_LAST, "allow", "Never reached: 3000 matches all", [_EVERYWHERE]),
    ]


def operator_rules(
    networks: Sequence[IPv4Network],
) -> list[compute.SecurityPolicyRuleArgs]:
    """Return the rules of what only these networks may reach; with none, nobody."""
    ranges = [str(network) for network in networks]
    groups = [
        ranges[start : start + _MOST_RANGES]
        for start in range(0, len(ranges), _MOST_RANGES)
    ]
    return [
        *(
            _for_ranges(1000 + i, "allow", "Operators", group)
            for i, group in enumerate(groups)
        ),
        _for_ranges(_LAST, "deny(403)", "Everybody else", [_EVERYWHERE]),
    ]


def _starts(paths: Sequence[Path]) -> Expression:
    return any_of(*(path_starts_with(path) for path in paths))


def _limit(
    priority: int, description: str, on: Expression | None, count: int
) -> compute.SecurityPolicyRuleArgs:
    return compute.SecurityPolicyRuleArgs(
        priority=priority,
        description=f"{description}: {count} requests of an address in a minute",
        action="throttle",
        match=_expression(on) if on else _ranges([_EVERYWHERE]),
        rate_limit_options=compute.SecurityPolicyRuleRateLimitOptionsArgs(
            conform_action="allow",
            exceed_action="deny(429)",
            enforce_on_key="IP",
            rate_limit_threshold=(
                compute.SecurityPolicyRuleRateLimitOptionsRateLimitThresholdArgs(
                    count=count, interval_sec=60
                )
            ),
        ),
    )


def _watch(priority: int, rule_set: str) -> compute.SecurityPolicyRuleArgs:
    exempt = (path_starts_with(path) for path in _UNFILTERED)
    return compute.SecurityPolicyRuleArgs(
        priority=priority,
        description=f"Only logged: {rule_set}",
        action="deny(403)",
        preview=True,
        match=_expression(but_none_of(attack_pattern(rule_set), *exempt)),
    )


def _for_ranges(
    priority: int, action: str, description: str, ranges: Sequence[str]
) -> compute.SecurityPolicyRuleArgs:
    return compute.SecurityPolicyRuleArgs(
        priority=priority,
        description=description,
        action=action,
        match=_ranges(ranges),
    )


def _expression(on: Expression) -> compute.SecurityPolicyRuleMatchArgs:
    return compute.SecurityPolicyRuleMatchArgs(
        expr=compute.SecurityPolicyRuleMatchExprArgs(expression=on.text)
    )


def _ranges(ranges: Sequence[str]) -> compute.SecurityPolicyRuleMatchArgs:
    return compute.SecurityPolicyRuleMatchArgs(
        versioned_expr="SRC_IPS_V1",
        config=compute.SecurityPolicyRuleMatchConfigArgs(src_ip_ranges=list(ranges)),
    )
