"""`infra.budget`: people hear in time, and the pipelines can keep it."""

from typing import Any, cast

from infra.budget import Budget, BudgetArgs
from infra.render.graph import Graph
from infra.render.outputs import PROJECT_NUMBER
from tests.integration.infra.component import PROJECT, rendered

_ACCOUNT = "012345-6789AB-CDEF01"


def _budget(*channels: str) -> Graph:
    def declare() -> None:
        Budget(
            "budget",
            BudgetArgs(
                project=PROJECT,
                billing_account=_ACCOUNT,
                monthly_amount=700,
                email_channels=channels,
                keepers={"apply": "apply@acme-events.iam.gserviceaccount.com"},
                readers={"preview": "preview@acme-events.iam.gserviceaccount.com"},
                after=[],
            ),
        )

    return rendered(declare)


def test_tells_at_half_most_and_all_and_before() -> None:
    """50, 90 and 100 % spent, and 100 % foreseen, of this project's month alone."""
    budget = _budget("projects/acme-events/notificationChannels/1").by_name(
        "budget-month"
    )
    rules = cast("list[dict[str, Any]]", budget.at("thresholdRules"))

    assert [
        ("CURRENT_SPEND", 0.5),
        ("CURRENT_SPEND", 0.9),
        ("CURRENT_SPEND", 1.0),
        ("FORECASTED_SPEND", 1.0),
    ] == sorted((rule["spendBasis"], rule["thresholdPercent"]) for rule in rules)
    assert [f"projects/{PROJECT_NUMBER}"] == list(
        budget.every("budgetFilter.projects[*]")
    )
    assert "700" == budget.at("amount.specifiedAmount.units")
    assert ["projects/acme-events/notificationChannels/1"] == list(
        budget.every("allUpdatesRule.monitoringNotificationChannels[*]")
    )


def test_without_channels_the_account_itself_is_told() -> None:
    """No channel is no rule, which Google would refuse without a target."""
    assert _budget().by_name("budget-month").at("allUpdatesRule") is None


def test_later_runs_may_keep_and_read_it() -> None:
    """The account that applies keeps budgets, the one that previews reads them."""
    graph = _budget()

    assert {
        "serviceAccount:apply@acme-events.iam.gserviceaccount.com": (
            "roles/billing.costsManager"
        ),
        "serviceAccount:preview@acme-events.iam.gserviceaccount.com": (
            "roles/billing.viewer"
        ),
    } == {
        grant.at("member"): grant.at("role")
        for grant in graph.by_type("gcp:billing/accountIamMember:AccountIamMember")
    }
