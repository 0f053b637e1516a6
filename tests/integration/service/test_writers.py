"""Which writer a publish takes must not show."""

import asyncio

from service.core.draft import Draft
from tests.fixtures.in_process import in_process

EVENTS = 2_000


async def test_events_are_numbered_in_the_order_of_the_calls(
    database_url: str,
) -> None:
    """
    A publisher that does not wait for its receipts keeps its order all the same, also
    when so much waits that both writers are busy.
    """
    async with in_process(database_url) as node:
        async with asyncio.TaskGroup() as tasks:
            calls = [
                tasks.create_task(
                    node.tracker.publish(
                        Draft(user_id=f"user-{number % 3}", type="progress")
                    )
                )
                for number in range(EVENTS)
            ]
        receipts = [call.result() for call in calls]

    for user_id in ("user-0", "user-1", "user-2"):
        seqs = [r.seq for r in receipts if r.user_id == user_id]
        assert list(range(1, len(seqs) + 1)) == seqs
