"""What the user's page says of events that it could not show."""

import pytest

from service.contract import Path
from service.core.draft import Draft
from tests.acceptance.browser import pages
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.browser]

# The page's handler then refuses every event for good, as a page would that a program
# error keeps from showing it.
BREAK = (
    "document.createElement = () => "
    "{ throw Object.assign(new Error('out of elements'), { final: true }); }"
)
MEND = "delete document.createElement"
NOTICE = "!document.querySelector('#missed').hidden"
NO_NOTICE = "document.querySelector('#missed').hidden"


async def redrive_all(service: ServiceProcess) -> None:
    async with service.api("operator", "operate") as api:
        answer = await api.post(Path.DEAD_LETTERS_REDRIVE, json={"all": True})
    assert 1 == answer.json()["done"]


def thought(text: str) -> Draft:
    return Draft(user_id="ann", type="agent_thinking", data={"text": text})


async def test_a_dead_event_is_noticed_until_it_is_shown(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    An event that the page refuses for good is a dead letter, and its user is told so;
    redriven, it is shown and confirmed, and the notice goes.
    """
    await pages.open_user_page(browser, service, "ann")
    browser.run(BREAK)
    await service.publish(thought("<b>hard to show</b>"))
    await browser.until(NOTICE)
    said = browser.text("#missed")
    dead = await pages.outcomes(service, "ann")
    browser.run(MEND)
    await redrive_all(service)
    await browser.until(NO_NOTICE)
    await browser.until(pages.ALL_CONFIRMED)

    assert "1 event could not be shown here. Support has it." == said
    assert ["dead"] == dead
    assert ["<b>hard to show</b>"] == browser.texts(".thought:not(.draft) .value-text")
    assert ["redriven", "confirmed"] == await pages.outcomes(service, "ann")


async def test_a_dead_event_is_noticed_after_a_reload(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    The notice does not depend on who was there when the event died.
    """
    await pages.open_user_page(browser, service, "ann")
    browser.run(BREAK)
    await service.publish(thought("one"), thought("two"))
    await browser.until("document.querySelector('#missed').textContent.includes('2')")
    browser.run("location.reload()")
    await browser.until(f"document.querySelector('#missed') && {NOTICE}")

    assert "2 events could not be shown here. Support has them." == browser.text(
        "#missed"
    )
