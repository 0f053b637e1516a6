"""The rules as the engine takes them."""

from pathlib import Path

from pulumi_policy import (
    Policy,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from infra.policy import access_rules, run_rules, store_rules, upkeep_rules
from infra.policy.project_rules import refresh_faults
from infra.policy.rule import Rule, Shown

RULES: tuple[Rule, ...] = (
    *run_rules.RULES,
    *store_rules.RULES,
    *access_rules.RULES,
    *upkeep_rules.RULES,
)
REFRESH_RULE = "refresh-always"


def policies(project: Path) -> list[Policy]:
    """Return every rule, as policies that break an `up`; `project` is Pulumi.yaml."""
    return [*map(_policy, RULES), _project_policy(project)]


def _policy(rule: Rule) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if rule.applies(args.resource_type):
            for fault in rule.faults(_shown(args)):
                report(f"{args.name}: {fault}", None)

    return ResourceValidationPolicy(
        name=rule.name, description=rule.promise, validate=validate
    )


def _shown(args: ResourceValidationArgs) -> Shown:
    return Shown(
        type=args.resource_type,
        urn=args.urn,
        name=args.name,
        props=args.props,
        protect=args.opts.protect,
        ignore_changes=tuple(args.opts.ignore_changes),
    )


def _project_policy(project: Path) -> Policy:
    def validate(_args: StackValidationArgs, report: ReportViolation) -> None:
        for fault in refresh_faults(project):
            report(fault, None)

    return StackValidationPolicy(
        name=REFRESH_RULE,
        description="The state is read anew before every update.",
        validate=validate,
    )
