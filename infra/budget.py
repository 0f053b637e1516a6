"""A month's budget: people hear of it before the bill comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import billing, organizations

# Shares of the month's budget, of what was spent; and what is foreseen to be.
_SPENT = (0.5, 0.9, 1.0)
_FORESEEN = (1.0,)

_KEEPER = "roles/billing.costsManager"
_READER = "roles/billing.viewer"


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    """How much, from which account, and whom to tell."""

    project: str
    billing_account: str
    monthly_amount: int  # in the billing account's own currency
    # Budgets tell e-mail channels only; pages are for symptoms anyway.
    email_channels: Sequence[pulumi.Input[str]]
    # Accounts by Pulumi name that keep and that read the budget on later runs.
    keepers: Mapping[str, pulumi.Input[str]]
    readers: Mapping[str, pulumi.Input[str]]
    after: Sequence[pulumi.Resource]


class Budget(pulumi.ComponentResource):
    """Tells at 50, 90 and 100 % of the month's amount, and when 100 % is foreseen.

    It stops nothing. Whoever first makes it needs `roles/billing.costsManager` on the
    billing account, and the right to grant it.
    """

    def __init__(
        self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Budget", name, {}, opts)
        inside = pulumi.ResourceOptions(parent=self, depends_on=args.after)
        number = organizations.get_project_output(
            project_id=args.project,
            # A new project answers only when it has been asked to.
            opts=pulumi.InvokeOutputOptions(parent=self, depends_on=args.after),
        ).number
        billing.Budget(
            f"{name}-month",
            billing_account=args.billing_account,
            display_name=f"{args.project}: a month",
            budget_filter=billing.BudgetBudgetFilterArgs(
                # By number: the API answers so, and a name would always differ.
                projects=[pulumi.Output.concat("projects/", number)],
                calendar_period="MONTH",
            ),
            amount=billing.BudgetAmountArgs(
                specified_amount=billing.BudgetAmountSpecifiedAmountArgs(
                    units=str(args.monthly_amount)
                )
            ),
            threshold_rules=[
                *(_threshold(share, "CURRENT_SPEND") for share in _SPENT),
                *(_threshold(share, "FORECASTED_SPEND") for share in _FORESEEN),
            ],
            all_updates_rule=billing.BudgetAllUpdatesRuleArgs(
                monitoring_notification_channels=list(args.email_channels)
            )
            if args.email_channels
            else None,
            opts=inside,
        )
        grants = [(_KEEPER, args.keepers), (_READER, args.readers)]
        for role, accounts in grants:
            for part, email in accounts.items():
                billing.AccountIamMember(
                    f"{name}-{part}",
                    billing_account_id=args.billing_account,
                    role=role,
                    member=pulumi.Output.concat("serviceAccount:", email),
                    opts=inside,
                )
        self.register_outputs({})


def _threshold(share: float, basis: str) -> billing.BudgetThresholdRuleArgs:
    return billing.BudgetThresholdRuleArgs(threshold_percent=share, spend_basis=basis)
