"""The user's page shows a run as its user sees it, and nobody else's."""

from collections.abc import Callable

import pytest

from service.core.draft import Draft
from tests.acceptance.browser import pages
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.browser]

MANY = 5_000


async def test_run_appears_in_order_and_is_confirmed(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    Every event of a run shows in order; the database has them all as confirmed.
    """
    await pages.open_user_page(browser, service, "ann")
    async with pages.bridge_to(service, "ann") as bridge:
        await pages.first_half(bridge)
        await browser.until("document.querySelectorAll('.entry.call').length === 1")
        browser.screenshot("user-running")
        await pages.second_half(bridge)
    await browser.until(pages.RUN_IS_OVER)
    await browser.until(pages.ALL_CONFIRMED)
    kinds = browser.run(
        "return [...document.querySelectorAll('.run-body > .entry')]"
        ".map(e => e.className.split(' ')[1])"
    )
    _take_pictures(browser)

    assert ["request", "thought", "call", "thought", "call", "other", "result"] == kinds
    assert "A night train, please" in browser.text(".request")
    assert "done" in browser.text(".call[data-state=ok] .call-status")
    assert "ValueError: no price for NJ 233" in browser.text(".call[data-state=failed]")
    assert "Prices read2 of 2" in browser.text(".progress-line")
    assert "NJ 233 at 21:27." in browser.text(".result")
    assert ["confirmed"] * 11 == await pages.outcomes(service, "ann")
    assert 0 == (await pages.status(service))["counts"]["unexplained"]
    assert [] == browser.errors()


async def test_written_text_shows_live_and_gives_way_to_the_whole(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    Pieces of text appear as they are written; the durable event takes their place.
    """
    await pages.open_user_page(browser, service, "ann")
    async with pages.bridge_to(service, "ann") as bridge:
        await bridge.agent_started(agent="writer")
        await browser.until("document.querySelector('.run') !== null")
        for word in ("The ", "night ", "train"):
            await bridge.token_delta(word)
        await browser.until(
            "document.querySelector('.draft').textContent === 'The night train'"
        )
        await bridge.agent_thinking("The night train leaves at 21:27.")
        await browser.until("document.querySelector('.draft').hidden")

    assert ["The night train leaves at 21:27."] == browser.texts(
        ".thought:not(.draft) .value-text"
    )
    assert [] == browser.errors()


async def test_two_users_never_see_each_other(
    service: ServiceProcess, start_browser: Callable[[], Browser]
) -> None:
    """
    Each page shows the events of its own user only.
    """
    first, second = start_browser(), start_browser()
    await pages.open_user_page(first, service, "ann")
    await pages.open_user_page(second, service, "bob")
    await service.publish(
        *(
            Draft(user_id=user, type="agent_thinking", data={"text": f"for {user}"})
            for user in ("ann", "bob", "ann", "bob")
        )
    )
    await first.until("document.querySelectorAll('.thought:not(.draft)').length === 2")
    await second.until("document.querySelectorAll('.thought:not(.draft)').length === 2")

    assert ["for ann"] * 2 == first.texts(".thought:not(.draft) .value-text")
    assert ["for bob"] * 2 == second.texts(".thought:not(.draft) .value-text")


async def test_user_can_ask_to_stop_a_run(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    The button of a running run reaches the service; a finished run has none.
    """
    await pages.open_user_page(browser, service, "ann")
    async with pages.bridge_to(service, "ann", run_id="run-7") as bridge:
        await bridge.agent_started(agent="writer")
        await browser.until("!document.querySelector('.stop').hidden")
        browser.element(".stop").click()

        async def asked() -> bool:
            lines = service.log_lines()
            return any(
                "cancel_requested" == line.get("event") and line["run_id"] == "run-7"
                for line in lines
            )

        await eventually(asked)
        await bridge.agent_error(kind="cancelled", message="the user stopped the run")
        await browser.until("document.querySelector('.stop').hidden")

    assert "Stopped" == browser.text(".run-head .pill")


async def test_five_thousand_events_stay_quick(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A long history is on the page, in order, within seconds; only the last run is open.
    """
    drafts = [
        draft for number in range(MANY // 100) for draft in _run_of_a_hundred(number)
    ]
    await service.publish(*drafts)
    await pages.open_user_page(browser, service, "ann")
    names = [name.strip() for name in browser.texts(".run-name")]
    await browser.until(
        "document.querySelectorAll('.run:not([data-folded])').length === 1"
    )

    assert [f"agent-{number}" for number in range(MANY // 100)] == names
    assert MANY // 100 * 98 == browser.count(".entry.thought:not(.draft)")
    assert [] == browser.errors()


def _run_of_a_hundred(number: int) -> list[Draft]:
    run = f"run-{number}"
    middle = [
        Draft(
            user_id="ann", run_id=run, type="agent_thinking", data={"text": "hm " * 30}
        )
        for _ in range(98)
    ]
    begin = Draft(
        user_id="ann",
        run_id=run,
        type="agent_started",
        data={"agent": f"agent-{number}"},
    )
    end = Draft(
        user_id="ann", run_id=run, type="agent_completed", data={"result": "ok"}
    )
    return [begin, *middle, end]


def _take_pictures(browser: Browser) -> None:
    for dark in (False, True):
        for width, height in ((1200, 900), (400, 900)):
            browser.look(width=width, height=height, dark=dark)
            browser.screenshot(f"user-{'dark' if dark else 'light'}-{width}")
    browser.look()
