"""Serves the rules to the engine: `pulumi up --policy-pack infra/policy`."""

from pathlib import Path

from pulumi_policy import EnforcementLevel, PolicyPack

from infra.policy.pack import policies

_PROJECT = Path(__file__).resolve().parents[2] / "Pulumi.yaml"

if __name__ == "__main__":
    PolicyPack(
        "event-service",
        policies=policies(_PROJECT),
        enforcement_level=EnforcementLevel.MANDATORY,
    )
