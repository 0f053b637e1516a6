"""Who may use the console, and what it says when the service refuses or is away."""

import pytest

from service.core.draft import Draft
from tests.acceptance.browser import pages
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(120)]

GATE = "document.querySelector('.gate') !== null"
_CLAIM_MORE = """
const kept = JSON.parse(sessionStorage.getItem("events.console.account"));
sessionStorage.setItem("events.console.account", JSON.stringify(
    {...kept, token: arguments[0]}));
location.reload();
"""


async def test_service_decides_who_is_an_operator(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A page that believes to be an operator's is told by the service that it is not:
    nothing is shown, and the way in says why. A good token opens it on the spot.
    """
    await service.publish(Draft(user_id="secret-user", type="note"))
    await pages.open_console(browser, service)
    browser.run(_CLAIM_MORE, service.token("operator", "publish"))
    await browser.until(GATE)
    why = browser.text(".gate-problem")
    shown = browser.text("#app")
    browser.element("#token").send_keys(service.token("eve", "operate") + "\n")
    await browser.until(
        "document.querySelector('#streams tbody th')?.textContent === 'secret-user'"
    )

    assert "needs the scope \u201coperate\u201d" in why
    assert "secret-user" not in shown
    assert "eve" == browser.text("#user")


async def test_sign_in_that_is_over_is_asked_for_again(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A token that holds no more shows the way in; afterwards the same view goes on.
    """
    await service.publish(Draft(user_id="ann", type="note", event_id="e-1"))
    await pages.open_console(browser, service)
    await pages.show(browser, event="e-1")
    await browser.until("document.querySelector('.timeline') !== null")
    async with service.api("operator", "operate") as api:
        await api.post("/v1/revocations", json={"user": "operator"})
    await browser.until(GATE)
    why = browser.text(".gate-problem")
    browser.element("#token").send_keys(service.token("eve", "operate") + "\n")
    await browser.until(
        "document.querySelector('#freshness').textContent === 'Up to date' && "
        "!document.querySelector('#app').hidden"
    )

    assert "no longer valid" in why
    assert "Event e-1" == browser.text("#detail .view-title")
    assert 1 == browser.count(".timeline")


async def test_work_goes_on_when_the_service_is_back(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    While nobody answers the page says so and keeps what it shows; what the service
    answers then is shown without a reload.
    """
    await service.publish(Draft(user_id="ann", type="note", event_id="e-1"))
    await pages.open_console(browser, service)
    service.kill()
    await pages.show(browser, view="connections")
    await browser.until(
        "document.querySelector('#freshness').textContent.includes('does not answer')"
    )
    await service.start()
    await browser.until(
        "document.querySelector('#freshness').textContent === 'Up to date' && "
        "document.querySelectorAll('#nodes tbody tr').length > 0",
        within_seconds=30,
    )

    assert "1" == browser.text("#count-published")
