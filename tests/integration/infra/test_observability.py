"""`infra.observability.channels`: who is told what."""

import pytest

from infra.observability.channels import Channels, ChannelsArgs
from infra.render.graph import Graph
from tests.integration.infra.component import rendered

_PAGING = "projects/acme-events/notificationChannels/42"


def _channels(*, email: str, paging: str) -> tuple[Graph, Channels]:
    made: list[Channels] = []

    def declare() -> None:
        args = ChannelsArgs(
            alert_email=email, paging_channel=paging, labels={}, after=[]
        )
        made.append(Channels("channels", args))

    return rendered(declare), made[0]


@pytest.mark.parametrize(
    ("email", "paging", "page", "ticket"),
    [
        ("sre@example.com", _PAGING, 2, 1),
        ("sre@example.com", "", 1, 1),
        ("", _PAGING, 1, 0),
        ("", "", 0, 0),
    ],
)
def test_pages_and_tickets_reach_who_is_there(
    email: str, paging: str, page: int, ticket: int
) -> None:
    """Pages reach both channels, tickets the mailbox; what is not there, nobody."""
    _, channels = _channels(email=email, paging=paging)

    assert (page, ticket, ticket) == (
        len(channels.page),
        len(channels.ticket),
        len(channels.emails),
    )


def test_no_key_of_the_paging_service_is_here() -> None:
    """The paging channel is named, never made: its key would be in the state."""
    graph, channels = _channels(email="sre@example.com", paging=_PAGING)
    (made,) = graph.custom()

    assert _PAGING == channels.page[0]
    assert ("email", {"email_address": "sre@example.com"}) == (
        made.at("type"),
        made.at("labels"),
    )
    assert made.at("sensitiveLabels") is None
