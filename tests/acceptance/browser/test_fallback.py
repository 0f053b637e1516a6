"""The user's page where no WebSocket gets through: a stream does all of it."""

import pytest

from tests.acceptance.browser import pages
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.browser]

# What a network that drops upgrades looks like to a page.
_BLOCKED = """
window.blocked = 0;
window.WebSocket = class {
  static OPEN = 1;
  readyState = 3;
  constructor() {
    window.blocked += 1;
    setTimeout(() => { this.onerror?.({}); this.onclose?.({code: 1006}); }, 1);
  }
  close() {}
};
"""
_REQUESTS = """
return performance.getEntriesByType("resource")
  .map((one) => new URL(one.name).pathname).filter((path) => path.startsWith("/v1/"))
"""


def block_sockets(browser: Browser) -> None:
    """Let every page from now on find no way through for a WebSocket."""
    browser.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": _BLOCKED}
    )


async def test_page_shows_the_run_by_a_stream(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    With sockets blocked the page shows the whole run, each event once, and all of
    them end confirmed.
    """
    block_sockets(browser)
    await pages.open_user_page(browser, service, "ann")
    async with pages.bridge_to(service, "ann") as bridge:
        await pages.first_half(bridge)
        await browser.until("document.querySelectorAll('.entry.call').length === 1")
        await pages.second_half(bridge)
    await browser.until(pages.RUN_IS_OVER)
    await browser.until(pages.ALL_CONFIRMED)
    requests = browser.run(_REQUESTS)
    browser.screenshot("user-by-a-stream")

    assert 3 == browser.run("return window.blocked")
    assert isinstance(requests, list)
    assert "/v1/acks" in requests
    assert 7 == browser.count(".run-body > .entry")
    assert ["confirmed"] * 11 == await pages.outcomes(service, "ann")
    assert [] == browser.errors()


async def test_page_survives_the_death_of_the_service_by_a_stream(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    After a kill -9 in the middle a page without sockets ends up whole, too.
    """
    block_sockets(browser)
    await pages.open_user_page(browser, service, "ann")
    async with pages.bridge_to(service, "ann") as bridge:
        await pages.first_half(bridge)
        await browser.until("document.querySelectorAll('.entry.call').length === 1")
        await service.restart(kill=True)
        await pages.second_half(bridge)
    await browser.until(pages.RUN_IS_OVER, within_seconds=30)
    survived = await pages.whole_page(browser)

    assert 1 == len(survived)
    assert 7 == browser.count(".run-body > .entry")
    assert ["confirmed"] * 11 == await pages.outcomes(service, "ann")
