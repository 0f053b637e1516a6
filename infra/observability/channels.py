"""Where people are told: by e-mail, and in prod by the paging service as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import monitoring


@dataclass(frozen=True, kw_only=True)
class ChannelsArgs:
    """Whom to tell; what is empty is not there."""

    alert_email: str
    # The paging service's channel is made by hand and named here
    # (projects/…/notificationChannels/…): its key would be in Pulumi's state.
    paging_channel: str
    labels: Mapping[str, str]
    after: Sequence[pulumi.Resource]


class Channels(pulumi.ComponentResource):
    """Pages go to the paging service and by e-mail, tickets by e-mail only."""

    emails: tuple[pulumi.Output[str], ...]
    page: tuple[pulumi.Input[str], ...]
    ticket: tuple[pulumi.Input[str], ...]

    def __init__(
        self, name: str, args: ChannelsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Channels", name, {}, opts)
        self.emails = (self._email(name, args),) if args.alert_email else ()
        paging = (args.paging_channel,) if args.paging_channel else ()
        self.page = (*paging, *self.emails)
        self.ticket = self.emails
        self.register_outputs({})

    def _email(self, name: str, args: ChannelsArgs) -> pulumi.Output[str]:
        channel = monitoring.NotificationChannel(
            f"{name}-email",
            type="email",
            display_name="Event service: operators",
            labels={"email_address": args.alert_email},
            user_labels=dict(args.labels),
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.after),
        )
        return channel.name
