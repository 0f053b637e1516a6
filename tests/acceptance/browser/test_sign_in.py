"""How people get into the pages, and what they are told when they do not."""

import pytest

from tests.acceptance.browser import pages
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.browser]

GATE = "document.querySelector('.gate') !== null"


async def test_code_leaves_the_address_bar_and_works_once(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    The page takes the code out of its URL; another page cannot use it again.
    """
    code = await service.code("ann")
    browser.open(f"{service.url}/#code={code}")
    await browser.until(pages.LIVE)
    url = browser.driver.current_url
    browser.run("sessionStorage.clear()")
    browser.open("about:blank")
    browser.open(f"{service.url}/#code={code}")
    await browser.until(GATE)

    assert f"{service.url}/" == url
    assert "was used before" in browser.text(".gate-problem")
    assert "" == browser.text("#user")


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/", "python -m service token --user NAME"),
        ("/console", "python -m service token --user NAME --scope operate"),
    ],
)
async def test_page_says_how_to_get_in(
    service: ServiceProcess, browser: Browser, path: str, command: str
) -> None:
    """
    Without a code the page names the command; with a wrong one it also says so.
    """
    browser.open(service.url + path)
    await browser.until(GATE)
    without = browser.text(".gate-problem")
    browser.open("about:blank")
    browser.open(f"{service.url}{path}#code=%E0%A4wrong")
    await browser.until(GATE)
    browser.screenshot(f"gate{path.replace('/', '-')}")

    assert "" == without
    assert command == browser.text(".gate-command")
    assert "was used before, or is too old" in browser.text(".gate-problem")
    assert True is browser.run("return document.querySelector('#app').hidden")


async def test_token_can_be_pasted(service: ServiceProcess, browser: Browser) -> None:
    """
    A pasted token opens the page; what is not a token is refused on the spot.
    """
    browser.open(service.url)
    await browser.until(GATE)
    browser.element("#token").send_keys("nonsense\n")
    refused = browser.text(".gate-problem")
    browser.element("#token").clear()
    browser.element("#token").send_keys(service.token("j\u00f6rg") + "\n")
    await browser.until(pages.LIVE)

    assert "not a token" in refused
    assert "j\u00f6rg" == browser.text("#user")
    assert [] == browser.errors()


async def test_refused_token_leads_back_to_the_way_in(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A token that the service refuses shows the way in again, with the reason.
    """
    browser.open(service.url)
    await browser.until(GATE)
    browser.element("#token").send_keys(service.token("ann") + "x\n")
    await browser.until(
        "/no longer valid/.test(document.querySelector('.gate-problem').textContent)"
    )

    assert True is browser.run("return document.querySelector('#app').hidden")


async def test_console_needs_the_operators_scope(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A user without the scope is told which one is missing.
    """
    code = await service.code("ann")
    browser.open(f"{service.url}/console#code={code}")
    await browser.until(GATE)

    assert "operate" in browser.text(".gate-problem")


async def test_pages_keep_separate_accounts(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    An operator's console and a user's page in one tab do not sign each other in.
    """
    await pages.open_console(browser, service)
    browser.open(service.url)
    await browser.until(GATE)

    assert "" == browser.text("#user")
