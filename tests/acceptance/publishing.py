"""A publisher in a process of its own: `python -m tests.acceptance.publishing`.

It publishes so many numbered events to each user, in order, over HTTP, and tries
again with the same ids for as long as the service is away. One line per receipt goes
to its standard output: user, number, seq.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta

from service.agents.publisher import HttpPublisher, RetryPolicy
from service.core.draft import Draft

_BATCH = 20
_PATIENCE = RetryPolicy(
    give_up_after=timedelta(seconds=60),
    attempt=timedelta(seconds=5),
    longest_backoff=timedelta(milliseconds=500),
)


async def _publish(publisher: HttpPublisher, user: str, count: int) -> None:
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        drafts = [
            Draft(user_id=user, type="progress", event_id=f"{user}-{n}", data=n)
            for n in numbers
        ]
        receipts = await publisher.publish_many(drafts)
        for number, receipt in zip(numbers, receipts, strict=True):
            sys.stdout.write(f"{user} {number} {receipt.seq}\n")


async def _run(url: str, token: str, users: Sequence[str], count: int) -> None:
    async with (
        HttpPublisher(base_url=url, token=token, policy=_PATIENCE) as publisher,
        asyncio.TaskGroup() as tasks,
    ):
        for user in users:
            tasks.create_task(_publish(publisher, user, count))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("users", nargs="+")
    args = parser.parse_args()
    asyncio.run(_run(args.url, args.token, args.users, args.count))


if __name__ == "__main__":
    main()
