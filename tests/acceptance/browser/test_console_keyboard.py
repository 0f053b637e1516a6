"""The console's main work without a mouse: every step is a key."""

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.acceptance.browser import pages
from tests.acceptance.browser.letters_kit import drafts_of, make_dead
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess, StartService

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(120)]

_MOST_TABS = 60
# What has the focus: by name, and whether one can see that it has.
_FOCUSED = """
const one = document.activeElement;
const seen = one.matches("input[type=radio]") ? one.nextElementSibling : one;
const style = getComputedStyle(seen);
const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
const box = seen.getBoundingClientRect();
const there = box.width > 0 && box.bottom > 0 && box.top < innerHeight;
const label = one.getAttribute("aria-label");
const name = one.id || label || one.textContent.trim() || one.tagName + one.value;
return [one.tagName === "BODY" ? "" : name, ring && there];
"""
_REACHABLE = """
const kinds = "a[href], button, input, select, summary, [tabindex='0']";
return [...document.querySelectorAll(kinds)].filter((one) =>
    !one.disabled && one.checkVisibility() && !one.matches("[type=radio]:not(:checked)")
).length;
"""


def keys(browser: Browser, *pressed: str) -> None:
    """Press keys, one after the other, wherever the focus is."""
    ActionChains(browser.driver).send_keys(*pressed).perform()


def focused(browser: Browser) -> tuple[str, bool]:
    """Return what has the focus, and whether that can be seen."""
    found = browser.run(_FOCUSED)
    assert isinstance(found, list)
    return str(found[0]), bool(found[1])


def tab_to(browser: Browser, name: str) -> None:
    """Press Tab until something of that name has the focus, visibly all the way."""
    for _ in range(_MOST_TABS):
        keys(browser, Keys.TAB)
        found, visible = focused(browser)
        assert visible or not found, found
        if found.startswith(name):
            return
    raise AssertionError(f"Tab never reaches {name}")


async def test_event_is_searched_and_redriven_by_keys_only(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    Slash, the id, Enter: the event. Tab to Redrive, Enter: a dialog that keeps the
    focus and gives it up at Escape; again, and agreed.
    """
    (event_id,) = await make_dead(service, *drafts_of("ann", 1))
    await pages.open_console(browser, service)
    keys(browser, "/")
    searching = focused(browser)
    keys(browser, event_id, Keys.ENTER)
    await browser.until("document.querySelector('.timeline-head button') !== null")
    tab_to(browser, "Redrive")
    keys(browser, Keys.ENTER)
    in_dialog = [focused(browser)]
    for _ in range(6):
        keys(browser, Keys.TAB)
        in_dialog.append(focused(browser))
    keys(browser, Keys.ESCAPE)
    await browser.until("document.querySelector('dialog') === null")
    back = focused(browser)
    keys(browser, " ")
    tab_to(browser, "Redrive 1")
    keys(browser, Keys.ENTER)
    await browser.until(
        "document.querySelector('#detail .moment[data-tone=open]') !== null"
    )

    assert ("find-text", True) == searching
    assert ("Cancel", True) == in_dialog[0]
    # Between two rounds Chromium lets the focus pass its own controls: the page, no.
    inside = {"Cancel", "Redrive 1", "number-1", ""}
    assert {name for name, _ in in_dialog} <= inside
    assert all(visible for name, visible in in_dialog if name)
    assert ("Redrive\u2026", True) == back
    assert focused(browser)[0].startswith("Event ")
    assert [] == browser.errors()


async def test_every_control_is_reached_by_tab(
    start_service: StartService, browser: Browser
) -> None:
    """
    In every view Tab visits each control once, from the skip link on, and the focus
    is always seen; the skip link leads past the header.
    """
    service = await start_service(SWEEP_SECONDS="0.1")  # so that charts come soon
    await make_dead(service, *drafts_of("ann", 2))
    await pages.open_console(browser, service)
    await browser.until(
        "document.querySelectorAll('.chart-frame:not([hidden])').length === 4",
        within_seconds=40,
    )
    for view in ("overview", "connections", "dead-letters"):
        await pages.show(browser, view=view)
        await browser.until(f"document.querySelector('#{view} tbody tr') !== null")
        browser.run("document.querySelector('#skip').focus()")
        expected = browser.run(_REACHABLE)
        visited = ["skip"]
        for _ in range(_MOST_TABS):
            keys(browser, Keys.TAB)
            name, visible = focused(browser)
            if not name:
                break
            assert visible, (view, name)
            visited.append(name)

        assert expected == len(visited), (view, visited)
    browser.run("document.querySelector('#skip').focus()")
    keys(browser, Keys.ENTER, Keys.TAB)

    assert "letter-user" == focused(browser)[0]


async def test_opening_a_view_moves_the_focus_there(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    Enter on a link leads to the new view's heading, the next Tab into it; tables have
    a caption, and headers for columns and rows.
    """
    await make_dead(service, *drafts_of("ann", 2))
    await pages.open_console(browser, service)
    tab_to(browser, "Dead letters")
    keys(browser, Keys.ENTER)
    await browser.until(
        "document.activeElement.textContent === 'Dead letters' && "
        "document.querySelectorAll('#letter-list tbody tr').length === 2"
    )
    tab_to(browser, "choose-page")
    keys(browser, " ")
    chosen = browser.text("#chosen")

    assert "2 chosen" == chosen
    assert "Dead letters \u00b7 Console" == browser.driver.title
    assert 0 == browser.count("table:not(:has(caption))")
    assert 0 == browser.count("th:not([scope])")
    assert 0 == browser.count("tbody tr:not(:has(th[scope=row]))")
    assert [] == browser.errors()
