"""Serves the rules to the engine: `pulumi up --policy-pack infra/policy`."""

from pulumi_policy import EnforcementLevel, PolicyPack

from infra.policy.pack import policies

if __name__ == "__main__":
    PolicyPack(
        "event-service",
        policies=policies(),
        enforcement_level=EnforcementLevel.MANDATORY,
    )
