"""Dead-letter work in the console: find, choose, redrive, discard, export."""

import asyncio
import json
from pathlib import Path

import pytest

from service.client import connect
from service.core.draft import Draft
from tests.acceptance.browser import pages
from tests.acceptance.browser.letters_kit import drafts_of, make_dead, press
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(120)]

_HOSTILE = "<img src=x onerror='window.hacked = 1'>\u202egnp"


def rows(count: int) -> str:
    return f"document.querySelectorAll('#letter-list tbody tr').length === {count}"


async def outcomes(service: ServiceProcess) -> dict[str, int]:
    status = await pages.status(service)
    names = ("dead", "redriven", "discarded", "open", "unexplained")
    return {name: status["counts"][name] for name in names}


async def test_chosen_letters_are_redriven_and_reach_their_client(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    The dialog names the number; Escape changes nothing; agreed, exactly these events
    are confirmed, and the list has the others left.
    """
    await make_dead(service, *drafts_of("ann", 5))
    await pages.open_console(browser, service)
    await pages.show(browser, view="dead-letters")
    await browser.until(rows(5))
    for number in (1, 3):
        browser.element(
            f"#letter-list tr:nth-child({number}) .choice-of-letter"
        ).click()
    chosen = browser.text("#chosen")
    press(browser, "Redrive")
    said = browser.text("dialog")
    browser.screenshot("console-dialog")
    press(browser, "Cancel", within="dialog")
    before = await outcomes(service)
    press(browser, "Redrive")
    press(browser, "Redrive 2", within="dialog")
    await browser.until(rows(3))
    report = browser.text("#dead-letters .said")
    async with connect(
        service.ws_url, handler=lambda _e: None, token=service.token("ann")
    ):
        await eventually(lambda: _nothing_open(service))

    assert "2 chosen" == chosen
    assert "2 dead letters will be redriven" in said
    assert 5 == before["dead"]
    assert "2 of 2 redriven" in report
    assert "Finished" in report
    assert {"dead": 3, "redriven": 2, "discarded": 0, "open": 0, "unexplained": 0} == (
        await outcomes(service)
    )
    assert [] == browser.errors()


async def test_all_of_a_filter_are_discarded(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A group's button narrows the list to its type and reason; all of these, and nobody
    else's, are discarded, also those that no page shows.
    """
    await make_dead(service, *drafts_of("ann", 120), reason="full")
    await make_dead(service, *drafts_of("bob", 3), reason="torn")
    await pages.open_console(browser, service)
    await pages.show(browser, view="dead-letters")
    await browser.until("document.querySelectorAll('.group').length === 2")
    browser.element(".group").click()
    await browser.until("document.querySelector('#letter-reason').value === 'full'")
    await browser.until(
        "document.querySelector('#letter-list .list-count')"
        ".textContent === '100 of 120'"
    )
    press(browser, "Older", within=".pager")
    await browser.until(rows(20))
    press(browser, "All 120")
    press(browser, "Discard")
    said = browser.text("dialog")
    press(browser, "Discard 120", within="dialog")
    await browser.until(
        "document.querySelector('#dead-letters .said').textContent.includes('Finished')"
    )

    assert "120 dead letters will be discarded" in said
    assert "120 of 120 discarded" in browser.text("#dead-letters .said")
    found = await outcomes(service)
    assert (3, 120, 0) == (found["dead"], found["discarded"], found["unexplained"])
    assert "reason=full" in browser.driver.current_url
    assert [] == browser.errors()


async def test_letters_are_exported_as_a_file(
    service: ServiceProcess, browser: Browser, tmp_path: Path
) -> None:
    """
    What the filter finds is saved, one JSON object a line, with the events' data.
    """
    await make_dead(service, *drafts_of("ann", 3))
    await make_dead(service, *drafts_of("bob", 2))
    browser.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior",
        {"behavior": "allow", "downloadPath": str(tmp_path)},
    )
    await pages.open_console(browser, service)
    await pages.show(browser, view="dead-letters", user="ann")
    await browser.until(rows(3))
    press(browser, "Export")
    file = tmp_path / "dead-letters.ndjson"
    await eventually(lambda: _exists(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]

    assert {"ann"} == {one["user_id"] for one in lines}
    assert [0, 1, 2] == sorted(one["data"]["number"] for one in lines)
    assert [] == browser.errors()


async def test_dead_event_is_redriven_from_its_timeline(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    Its story goes on below what it was before: died, redriven, parked.
    """
    (event_id,) = await make_dead(service, *drafts_of("ann", 1))
    await pages.open_console(browser, service)
    await pages.show(browser, event=event_id)
    await browser.until("document.querySelector('.timeline-head button') !== null")
    press(browser, "Redrive", within=".timeline-head")
    press(browser, "Redrive 1", within="dialog")
    await browser.until(
        "document.querySelector('#detail .moment[data-tone=open]') !== null"
    )

    assert ["Accepted", "Attempt 1 failed", "Dead", "Redriven", "Parked"] == (
        browser.texts("#detail .moment strong")
    )
    assert 0 == browser.count(".timeline-head button")
    assert [] == browser.errors()


async def test_hostile_letters_stay_text(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    Types, runs, reasons and users of dead letters are shown as they were written.
    """
    user = "<b>ann</b>"
    name = "<img src=x onerror='window.hacked = 1'>"
    draft = Draft(user_id=user, type=name, run_id=name, data={name: _HOSTILE})
    await make_dead(service, draft, reason=_HOSTILE)
    await pages.open_console(browser, service)
    await pages.show(browser, view="dead-letters")
    await browser.until(rows(1))
    listed = browser.text("#letter-list tbody")
    groups = browser.text(".groups")
    browser.element("#letter-list .choice-of-letter").click()
    press(browser, "Discard")
    press(browser, "Cancel", within="dialog")
    browser.element("#letter-list td .opener").click()  # the user
    await browser.until("document.querySelector('#user-letters tbody tr') !== null")

    for text in (user, name, _HOSTILE):
        assert text in listed
    assert _HOSTILE in groups
    assert f"User {user}" == browser.text("#detail .view-title")
    assert None is browser.run("return window.hacked")
    assert 0 == browser.count("main img, main b, main script")
    assert [] == browser.errors()


async def _nothing_open(service: ServiceProcess) -> bool:
    return (await outcomes(service))["open"] == 0


async def _exists(file: Path) -> bool:
    return await asyncio.to_thread(file.exists)
