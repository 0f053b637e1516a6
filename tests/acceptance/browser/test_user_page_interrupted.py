"""Whatever interrupts it, the user's page ends up whole, and shows nothing twice."""

from collections.abc import Callable

import pytest

from service.core.draft import Draft
from tests.acceptance.browser import pages
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.browser]


async def test_reload_in_the_middle_shows_the_same_page(
    service: ServiceProcess, start_browser: Callable[[], Browser]
) -> None:
    """
    A page reloaded in the middle of a run ends up as one that was never reloaded.
    """
    steady, reloaded = start_browser(), start_browser()
    for browser in (steady, reloaded):
        await pages.open_user_page(browser, service, "ann")
    async with pages.bridge_to(service, "ann") as bridge:
        await pages.first_half(bridge)
        await reloaded.until("document.querySelectorAll('.entry.call').length === 1")
        reloaded.driver.refresh()
        await reloaded.until("document.querySelectorAll('.entry.call').length === 1")
        reloaded.screenshot("user-reloaded-in-the-middle")
        await pages.second_half(bridge)
    for browser in (steady, reloaded):
        await browser.until(pages.RUN_IS_OVER)
    expected = await pages.whole_page(steady)

    assert expected == await pages.whole_page(reloaded)
    assert ["confirmed"] * 11 == await pages.outcomes(service, "ann")
    assert [] == steady.errors() + reloaded.errors()


async def test_reload_before_anything_was_handled_loses_nothing(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    What came while the page was loading is there as well.
    """
    await pages.open_user_page(browser, service, "ann")
    browser.open("about:blank")
    async with pages.bridge_to(service, "ann") as bridge:
        await pages.first_half(bridge)
        browser.open(service.url)
        await pages.second_half(bridge)
    await browser.until(pages.RUN_IS_OVER)

    assert 7 == browser.count(".run-body > .entry")
    assert [] == browser.errors()


async def test_page_survives_the_death_of_the_service(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    After a kill -9 in the middle the page reconnects by itself and shows all, once.
    """
    await pages.open_user_page(browser, service, "ann")
    async with pages.bridge_to(service, "ann") as bridge:
        await pages.first_half(bridge)
        await browser.until("document.querySelectorAll('.entry.call').length === 1")
        service.kill()
        await browser.until(
            "/^Reconnecting/.test(document.querySelector('#connection').textContent)"
        )
        browser.screenshot("user-reconnecting")
        await service.start()
        await pages.second_half(bridge)
    await browser.until(pages.RUN_IS_OVER, within_seconds=30)
    survived = await pages.whole_page(browser)
    browser.driver.refresh()
    await browser.until(pages.RUN_IS_OVER)
    # The browser itself reports each attempt to reach a service that is away.
    away = ("net::ERR_CONNECTION_REFUSED", "WebSocket connection to")

    assert survived == await pages.whole_page(browser)
    assert ["confirmed"] * 11 == await pages.outcomes(service, "ann")
    assert [] == [line for line in browser.errors() if not any(w in line for w in away)]


async def test_duplicated_tab_is_a_device_of_its_own(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A tab and its duplicate both stay live and both show everything.
    """
    await pages.open_user_page(browser, service, "ann")
    original = browser.driver.current_window_handle
    browser.run(
        "window.open(location.href)"
    )  # copies the tab's storage, as a user does
    (copy,) = set(browser.driver.window_handles) - {original}
    browser.driver.switch_to.window(copy)
    await browser.until(pages.LIVE)
    await service.publish(
        Draft(user_id="ann", type="agent_thinking", data={"text": "hi"})
    )
    await browser.until("document.querySelector('.thought') !== null")
    in_the_copy = browser.texts(".thought:not(.draft) .value-text")
    browser.driver.switch_to.window(original)
    await browser.until("document.querySelector('.thought:not(.draft)') !== null")

    assert ["hi"] == in_the_copy
    assert ["hi"] == browser.texts(".thought:not(.draft) .value-text")
    assert "Live" == browser.text("#connection")
    assert 2 == len(set(await pages.devices(service, "ann")))
    assert [] == browser.errors()


async def test_tab_keeps_its_device_over_a_reload(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    Reloading a tab does not make a new device of it.
    """
    await pages.open_user_page(browser, service, "ann")
    before = await pages.devices(service, "ann")
    browser.driver.refresh()
    await browser.until(pages.LIVE)

    async def only_one() -> bool:
        return 1 == len(await pages.devices(service, "ann"))

    await eventually(only_one)

    assert before == await pages.devices(service, "ann")
