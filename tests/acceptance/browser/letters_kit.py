"""Dead letters, made as clients make them, and the buttons of the console."""

from collections.abc import Sequence

from service.core.draft import Draft
from tests.fakes.raw_client import raw_client
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess


async def make_dead(
    service: ServiceProcess, *drafts: Draft, reason: str = "no such widget"
) -> Sequence[str]:
    """Publish events of one user, and refuse each for good; return their ids."""
    user = drafts[0].user_id
    receipts = await service.publish(*drafts)
    async with raw_client(service.ws_url, token=service.token(user)) as client:
        await client.hello("old-app")
        for event in await client.events(len(drafts)):
            nack = {"t": "nack", "seq": event["seq"], "reason": reason, "final": True}
            await client.send(nack)
        settled = 0
        while settled < len(drafts):
            frame = await client.next("settled")
            settled += sum(last - first + 1 for first, last in frame["seqs"])
    return [receipt.event_id for receipt in receipts]


def drafts_of(user: str, count: int, **fields: object) -> list[Draft]:
    """Return events of a user, told apart by their data."""
    kind = {"type": "tool_completed", "run_id": f"run-of-{user}", **fields}
    return [
        Draft(user_id=user, data={"number": number}, **kind)  # type: ignore[arg-type]
        for number in range(count)
    ]


def press(browser: Browser, text: str, *, within: str = ".toolbar") -> None:
    """Click the button that says so."""
    browser.run(
        "[...document.querySelectorAll(arguments[0] + ' button')]"
        ".find(one => one.textContent.startsWith(arguments[1])).click()",
        within,
        text,
    )
