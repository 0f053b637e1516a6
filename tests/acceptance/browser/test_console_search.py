"""One box finds users, runs and events."""

import pytest
from selenium.webdriver.common.keys import Keys

from service.core.draft import Draft
from tests.acceptance.browser import pages
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.browser]


def search(browser: Browser, text: str) -> None:
    field = browser.element("#find-text")
    field.clear()
    field.send_keys(text, Keys.ENTER)


async def test_everything_that_begins_so_is_listed_by_kind(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    Users, runs and events whose name begins so, each leading to its own view.
    """
    await service.publish(
        Draft(user_id="trip-user", type="note", event_id="trip-event", run_id="r"),
        Draft(user_id="ann", type="note", event_id="e-1", run_id="trip-1"),
        Draft(user_id="ann", type="agent_started", event_id="e-2", run_id="trip-1"),
        Draft(user_id="bob", type="note", event_id="e-3", run_id="trip-1"),
    )
    await pages.open_console(browser, service)
    search(browser, "trip")
    await browser.until("document.querySelector('#found-runs tbody tr') !== null")
    found = browser.text("#found")
    runs = browser.texts("#found-runs tbody th")
    browser.screenshot("console-search")
    browser.element("#found-runs tbody tr .opener").click()
    await browser.until(
        "document.querySelectorAll('#run-events tbody tr').length === 2"
    )

    assert "Found 1 user, 2 runs, 1 event." == found
    assert ["trip-1", "trip-1"] == runs
    assert ["e-1", "e-2"] == browser.texts("#run-events tbody th")
    assert "2 events: 2 open." in browser.text("#detail")
    assert "ann" == browser.text("#detail .opener")
    assert [] == browser.errors()


async def test_only_hit_is_opened_at_once(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A whole id leads straight to what it names; Back leads to where one came from.
    """
    await service.publish(Draft(user_id="ann", type="note", event_id="e/1 ?#"))
    await pages.open_console(browser, service)
    search(browser, "e/1 ?#")
    await browser.until("document.querySelector('#detail .timeline') !== null")
    event = browser.text("#detail .view-title")
    browser.driver.back()
    await browser.until("!document.querySelector('#overview').hidden")
    search(browser, "an")
    await browser.until("document.querySelector('#user-events tbody tr') !== null")

    assert "Event e/1 ?#" == event
    assert "User ann" == browser.text("#detail .view-title")
    assert [] == browser.errors()


async def test_nothing_found_is_said(service: ServiceProcess, browser: Browser) -> None:
    """
    So is an event, or a user, that does not exist.
    """
    await pages.open_console(browser, service)
    search(browser, "nobody<i>")
    await browser.until(
        "document.querySelector('#found').textContent.startsWith('No user, run')"
    )
    browser.run("location.hash = 'event=unknown'")
    await browser.until(
        "document.querySelector('#detail')?.textContent.includes('no such event')"
    )
    browser.run("location.hash = 'user=nobody'")
    await browser.until(
        "document.querySelector('#detail')?.textContent.includes('no such user')"
    )

    assert "Search: nobody<i>" == browser.text("#search .view-title")
    assert 0 == browser.count("#search i")
