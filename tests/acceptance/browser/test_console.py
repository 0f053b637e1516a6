"""The console shows what the service does, and what became of an event."""

import pytest
from selenium.webdriver.common.keys import Keys

from service.client import connect
from service.core.draft import Draft
from tests.acceptance.browser import pages
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess, StartService

pytestmark = [pytest.mark.acceptance, pytest.mark.browser]

_ASKED = (
    "performance.getEntriesByType('resource')"
    ".filter(({ name }) => name.endsWith('/v1/status')).length"
)
_VALUE_TEXT = (
    "return document.querySelector(arguments[0]).getAttribute('aria-valuetext')"
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


async def test_console_shows_streams_counts_and_charts_live(
    start_service: StartService, browser: Browser
) -> None:
    """
    Counts grow and add up and lines get longer, without a reload; a moment of a chart
    can be read out, and all of them as a table.
    """
    service = await start_service(SWEEP_SECONDS="0.1")  # and a sample a second
    await pages.open_console(browser, service)
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
            "document.querySelector('#streams tbody th')?.textContent === 'ann'"
        )
        await browser.until(
            "(document.querySelector('.chart-line.line-1[d*=L]')) !== null",
            within_seconds=40,
        )
    chart = ".chart:nth-of-type(4) .chart-frame"
    now = browser.run(_VALUE_TEXT, chart)
    browser.run("document.querySelector(arguments[0]).focus()", chart)
    browser.driver.switch_to.active_element.send_keys(Keys.HOME)
    first = browser.run(_VALUE_TEXT, chart)
    browser.run("document.querySelectorAll('.chart-table').forEach(t => t.open = true)")
    await browser.until("document.querySelectorAll('.chart-table td').length > 8")
    stream = browser.texts("#streams tbody tr:first-child :is(th, td)")

    assert ["ann", "0", "\u2013", "20", "20"] == stream
    assert "20" == browser.text("#count-published")
    assert "0" == browser.text("#count-unexplained")
    assert "s" in browser.text("#count-p99")
    assert now != first
    assert [] == browser.errors()


async def test_dead_letter_shows_all_its_reasons(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    An event that a client refused five times is listed by itself, with its reason and
    how often; its timeline has every attempt.
    """
    await pages.open_console(browser, service)
    await pages.show(browser, view="dead-letters")
    (receipt,) = await service.publish(
        Draft(user_id="ann", type="agent_thinking", data={"text": "hello"})
    )
    async with connect(
        service.ws_url, handler=_broken, token=service.token("ann"), device="old-app"
    ):
        await browser.until(
            "document.querySelectorAll('#dead-letters .reasons li').length === 1",
            within_seconds=40,
        )
    browser.element("#dead-letters .opener").click()
    await browser.until("document.querySelectorAll('#detail .moment').length === 7")
    moments = browser.texts("#detail .moment strong")

    assert ["CannotRenderError: no such widget 5 times"] == browser.texts(
        "#letter-list .reasons li"
    )
    assert "1" == browser.text("#dead-badge")
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
    await pages.show(browser, event=receipt.event_id)
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
