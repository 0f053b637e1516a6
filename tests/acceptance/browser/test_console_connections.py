"""Who is connected where, and what operators can ask of them."""

import pytest

from tests.acceptance.browser import pages
from tests.acceptance.browser.letters_kit import drafts_of, press
from tests.fakes.raw_client import raw_client
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess, StartService

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(120)]


def sessions(count: int) -> str:
    return f"document.querySelectorAll('#sessions tbody tr').length === {count}"


async def test_sessions_of_all_nodes_are_listed_and_filtered(
    service: ServiceProcess, start_service: StartService, browser: Browser
) -> None:
    """
    Nodes and revisions with their counts; sessions by user and by revision; one that
    ends disappears.
    """
    green = await start_service(K_REVISION="green")
    await pages.open_console(browser, service)
    await pages.show(browser, view="connections")
    async with (
        raw_client(service.ws_url, token=service.token("ann")) as phone,
        raw_client(green.ws_url, token=service.token("ann")) as tablet,
        raw_client(green.ws_url, token=service.token("bob")) as laptop,
    ):
        await phone.hello("phone")
        await tablet.hello("tablet")
        await laptop.hello("laptop")
        await browser.until(sessions(3))
        revisions = browser.texts("#connections .columns .card:first-child tbody th")
        nodes = browser.count("#nodes tbody tr")
        await pages.show(browser, view="connections", revision="green")
        await browser.until(sessions(2))
        await pages.show(browser, view="connections", revision="green", user="ann")
        await browser.until(sessions(1))
        device = browser.text("#sessions tbody td")
        await tablet.close()
        await browser.until(sessions(0))

    assert ["green", "local"] == revisions
    assert 2 == nodes
    assert "tablet" == device
    assert "ann" == browser.run("return document.querySelector('#session-user').value")
    assert [] == browser.errors()


async def test_drain_moves_the_clients_of_a_revision(
    service: ServiceProcess, start_service: StartService, browser: Browser
) -> None:
    """
    The dialog says how many and what happens; agreed, they are asked to move, and the
    revision shows as draining.
    """
    green = await start_service(K_REVISION="green")
    await pages.open_console(browser, service)
    async with raw_client(green.ws_url, token=service.token("ann")) as client:
        await client.hello("phone")
        await pages.show(browser, view="connections")
        await browser.until(sessions(1))
        browser.element("#connections [aria-label='Drain revision green']").click()
        said = browser.text("dialog")
        press(browser, "Drain", within="dialog")
        goaway = await client.next("goaway", within_seconds=25)
        await browser.until(
            "document.querySelector('#connections').textContent"
            ".includes('draining until')"
        )

    assert "1 client connected" in said
    assert "drain" == goaway["reason"]
    assert "1 client asked to move." == browser.text("#connections .said")
    assert [] == browser.errors()


async def test_revoked_user_is_cut_off(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    From the user's view, behind a dialog; the live session is closed for good.
    """
    await pages.open_console(browser, service)
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        await client.hello("phone")
        await pages.show(browser, user="ann")
        await browser.until(
            "document.querySelector('#user-sessions tbody tr') !== null"
        )
        press(browser, "Revoke", within="#detail .view-head")
        said = browser.text("dialog")
        press(browser, "Revoke", within="dialog .dialog-actions")
        code = await client.closed(within_seconds=15)
    await browser.until(
        "document.querySelector('#detail .said').textContent.includes('Revoked')"
    )

    assert "ann" in said
    assert "1 live session will be closed" in said
    assert 4403 == code
    assert [] == browser.errors()


async def test_session_tells_what_is_in_flight(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A session of the node that answers tells how many events it has in flight.
    """
    await pages.open_console(browser, service)
    await pages.show(browser, view="connections")
    async with raw_client(service.ws_url, token=service.token("ann")) as client:
        await client.hello("phone")
        await service.publish(*drafts_of("ann", 3))
        await client.events(3)
        await browser.until(
            "document.querySelector('#sessions tbody td:nth-child(5)')?.textContent"
            " === '3'"
        )

    assert [] == browser.errors()
