"""The console shows what the service does, and what became of an event."""

import pytest
from selenium.webdriver.common.keys import Keys

from service.client import connect
from service.core.draft import Draft
from tests.acceptance.browser import pages
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.browser]


_ASKED = (
    "performance.getEntriesByType('resource')"
    ".filter(({ name }) => name.endsWith('/v1/status')).length"
)
_COUNT_WHEN_VISIBILITY_CHANGES = f"""
    window.asked = [];
    const count = () => window.asked.push({_ASKED});
    document.addEventListener("visibilitychange", count);
"""


class CannotRenderError(Exception):
    """What a broken client raises in its handler."""


async def _broken(_event: object) -> None:
    raise CannotRenderError("no such widget")


async def _fine(_event: object) -> None:
    """A client that can handle everything."""


async def test_console_shows_sessions_streams_and_counts_live(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    Sessions come and go, counts grow and add up, without a reload.
    """
    await pages.open_console(browser, service)
    await browser.until("document.querySelectorAll('#sessions tbody tr').length === 0")
    async with connect(
        service.ws_url, handler=_fine, token=service.token("ann"), device="phone"
    ) as client:
        await client.wait_live()
        await service.publish(
            *(Draft(user_id="ann", type="note", data=number) for number in range(20))
        )
        await browser.until(
            "document.querySelector('#count-confirmed').textContent === '20'"
        )
        await browser.until(
            "document.querySelector('#sessions tbody')?.textContent.includes('phone')"
        )
        await browser.until(
            "document.querySelector('#rate .chart-line').getAttribute('d') !== null"
        )
        stream = browser.texts("#streams tbody tr:first-child td")
        browser.screenshot("console-live")
    await browser.until("document.querySelectorAll('#sessions tbody tr').length === 0")

    assert ["ann", "20", "20", "0", "\u2013"] == stream
    assert "20" == browser.text("#count-published")
    assert "0" == browser.text("#count-unexplained")
    assert "s" in browser.text("#count-p99")
    assert [] == browser.errors()


async def test_dead_letter_shows_all_its_reasons(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    An event that a client refused five times is listed with five reasons, and its
    timeline has every attempt.
    """
    await pages.open_console(browser, service)
    (receipt,) = await service.publish(
        Draft(user_id="ann", type="agent_thinking", data={"text": "hello"})
    )
    async with connect(
        service.ws_url, handler=_broken, token=service.token("ann"), device="old-app"
    ):
        await browser.until(
            "document.querySelectorAll('#dead-letters .reasons li').length === 5",
            within_seconds=40,
        )
    browser.element("#dead-letters .opener").click()
    await browser.until("document.querySelectorAll('#detail .moment').length === 7")
    moments = browser.texts("#detail .moment strong")
    _take_pictures(browser)

    assert ["CannotRenderError: no such widget"] * 5 == browser.texts(".reasons li")
    assert "1" == browser.text("#count-dead")
    assert "0" == browser.text("#count-unexplained")
    assert receipt.event_id in browser.text("#detail")
    attempts = [f"Attempt {number} failed" for number in range(1, 6)]
    assert ["Accepted", *attempts, "Dead"] == moments
    assert "device old-app" in browser.text("#detail .moment[data-tone=bad]")
    assert [] == browser.errors()


async def test_timeline_says_who_confirmed_and_survives_a_reload(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A parked event turns confirmed in front of the operator; the URL keeps the event.
    """
    (receipt,) = await service.publish(Draft(user_id="ann", type="note", data={"x": 1}))
    await pages.open_console(browser, service)
    browser.element("#find-text").send_keys(receipt.event_id, Keys.ENTER)
    await browser.until(
        "document.querySelector('#detail .moment[data-tone=open]') !== null"
    )
    parked = browser.text("#detail .moment[data-tone=open] strong")
    async with connect(
        service.ws_url, handler=_fine, token=service.token("ann"), device="phone"
    ):
        await browser.until(
            "document.querySelector('#detail .moment[data-tone=good]') !== null"
        )
    browser.driver.refresh()
    await browser.until(
        "document.querySelector('#detail .moment[data-tone=good]') !== null"
    )

    assert "Parked" == parked
    assert receipt.event_id in browser.driver.current_url
    assert ["Accepted", "Confirmed"] == browser.texts("#detail .moment strong")
    assert "by device phone" in browser.text("#detail .moment[data-tone=good]")
    assert [] == browser.errors()


async def test_console_works_from_the_keyboard(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    From the filter, Tab reaches a user; Enter opens the events, and one's timeline.
    """
    await service.publish(
        Draft(user_id="ann", type="note"), Draft(user_id="bob", type="note")
    )
    await pages.open_console(browser, service)
    await browser.until("document.querySelectorAll('#streams tbody tr').length === 2")
    browser.element("#filter").send_keys("bob")
    await browser.until("document.querySelectorAll('#streams tbody tr').length === 1")
    browser.element("#filter").send_keys(Keys.TAB)
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    await browser.until("document.querySelector('#detail .events') !== null")
    shown = browser.text("#detail h2")
    browser.element("#detail .opener").send_keys(Keys.ENTER)
    await browser.until("document.querySelector('#detail .timeline') !== null")

    assert "Latest events of bob" == shown
    assert "bob" == browser.text("#detail .facts .opener")


async def test_console_says_when_the_service_is_away(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    The numbers are marked as old while nobody answers, and fresh afterwards.
    """
    await pages.open_console(browser, service)
    service.kill()
    await browser.until(
        "document.querySelector('#freshness').textContent.includes('does not answer')"
    )
    await service.start()

    await browser.until(
        "document.querySelector('#freshness').textContent === 'Up to date'"
    )


async def test_console_rests_while_it_is_hidden(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A console in a tab behind another one asks for nothing; seen again, it goes on.
    """
    await pages.open_console(browser, service)
    hidden = browser.driver.current_window_handle
    browser.run(_COUNT_WHEN_VISIBILITY_CHANGES)
    browser.driver.switch_to.new_window("tab")
    await pages.open_console(browser, service)
    await browser.until(f"{_ASKED} >= 4")  # as long as the other one had to rest
    await service.publish(Draft(user_id="ann", type="note"))
    browser.driver.close()
    browser.driver.switch_to.window(hidden)
    await browser.until(
        "document.querySelector('#count-published').textContent === '1'"
    )
    at_hiding, at_showing = _numbers(browser.run("return window.asked"))

    assert at_hiding <= at_showing <= at_hiding + 1  # one may have been under way
    assert [] == browser.errors()


async def test_api_page_describes_every_path(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    The page of the API shows each operation that the service describes.
    """
    async with service.api("ann") as api:
        paths = (await api.get("/openapi.json")).json()["paths"]
    browser.open(f"{service.url}/docs")
    await browser.until("document.querySelector('.operation') !== null")
    browser.screenshot("docs")
    operations = sum(len(methods) for methods in paths.values())

    assert operations == browser.count(".operation")
    assert set(paths) == set(browser.texts(".operation h2 .mono"))
    assert [] == browser.errors()


def _numbers(found: object) -> list[int]:
    return [int(one) for one in found] if isinstance(found, list) else []


def _take_pictures(browser: Browser) -> None:
    for dark in (False, True):
        for width, height in ((1360, 1000), (400, 1600)):
            browser.look(width=width, height=height, dark=dark)
            browser.run("scrollTo(0, 0)")
            browser.screenshot(f"console-{'dark' if dark else 'light'}-{width}")
    browser.look()
