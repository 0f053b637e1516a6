"""How the console looks: readable in both themes, whole on wide and narrow windows."""

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from service.adapters.database import connect_once
from service.client import connect
from service.core.draft import Draft
from tests.acceptance.browser import pages
from tests.acceptance.browser.letters_kit import drafts_of, make_dead
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess, StartService

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(180)]

_WIDTHS = ((1280, 1500), (390, 1800))
_SAMPLES = 358
_INSERT = """
INSERT INTO samples (at, published, confirmed, dead, expired, discarded, redriven,
                     open, oldest_open_seconds, sessions, failed_attempts, p50, p99)
VALUES (now() - $1 * interval '1 s', $2, $3, $4, 0, 0, 0, $5, $6, $7, $8, $9, $10)
"""
# The contrast of every text with what is behind it, where it is below 4.5.
_POOR_CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", {
    willReadFrequently: true,
});
function rgba(colour) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
}
function over([r, g, b, a], [x, y, z]) {
    return [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
}
function behind(element) {
    const layers = [];
    for (let one = element; one !== null; one = one.parentElement) {
        layers.push(rgba(getComputedStyle(one).backgroundColor));
    }
    const white = [255, 255, 255, 1];
    return layers.reverse().reduce((below, layer) => over(layer, below), white);
}
function light([r, g, b]) {
    const [x, y, z] = [r, g, b].map((part) => {
        const share = part / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}
const poor = [];
let seen = 0;
const root = document.querySelector("dialog[open]") ?? document.querySelector("#app");
for (const element of root.querySelectorAll("*")) {
    const own = [...element.childNodes].some(
        (node) => node.nodeType === 3 && node.textContent.trim() !== "");
    if (!own || element.closest("[disabled]") || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    if (element.closest(".sr-only") || element.closest(".skip")) continue;
    seen += 1;
    const ground = behind(element);
    const paint = element.ownerSVGElement ? style.fill : style.color;
    const [a, b] = [light(over(rgba(paint), ground)), light(ground)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) {
        const text = element.textContent.trim().slice(0, 30);
        poor.push(`${contrast.toFixed(2)} ${element.className} ${text}`);
    }
}
return seen < 4 ? ["nothing seen"] : poor;
"""
_TOO_WIDE = """
const wide = document.documentElement.scrollWidth;
return wide <= innerWidth ? [] : [String(wide)];
"""


async def past_hours(service: ServiceProcess) -> None:
    """Write the samples that a busy service has after an hour."""
    published = confirmed = 0
    async with connect_once(service.database_url) as connection:
        for index in range(_SAMPLES):
            wave = 1 + math.sin(index / 25) + 0.3 * math.sin(index * 1.7)
            published += int(900 * wave + 1_200)
            behind = int(90 + 80 * wave + (900 if 200 < index < 230 else 0))
            confirmed = published - behind - 4
            await connection.execute(
                _INSERT,
                10.0 * (_SAMPLES - index),
                published,
                confirmed,
                4,
                behind,
                4.0,
                int(180 + 60 * math.sin(index / 60)),
                int(index % 7 == 0),
                0.011 + 0.003 * wave,
                0.06 + 0.05 * wave + (0.4 if 200 < index < 230 else 0),
            )


@pytest.fixture
async def busy(
    service: ServiceProcess, start_service: StartService
) -> AsyncIterator[ServiceProcess]:
    """A service of two revisions with users, dead letters and a past."""
    green = await start_service(K_REVISION="event-service-00042-green")
    await past_hours(service)
    await make_dead(service, *drafts_of("ann@example.org", 4))
    await make_dead(
        service,
        *drafts_of("carla", 3, type="agent_completed"),
        reason="QuotaExceededError: localStorage is full",
    )
    for number in range(7):
        await service.publish(*drafts_of(f"parked-{number}", 3 * number + 1))
    async with AsyncExitStack() as stack:
        for number in range(12):
            node = green if number % 3 else service
            user = f"user-{number // 2}@example.org"
            client = connect(
                node.ws_url,
                handler=lambda _event: None,
                token=node.token(user),
                device=f"{'phone' if number % 2 else 'laptop'}-{number}",
            )
            await (await stack.enter_async_context(client)).wait_live()
            await service.publish(
                Draft(user_id=user, type="agent_started", run_id=f"trip-{number}"),
                Draft(user_id=user, type="agent_thinking", run_id=f"trip-{number}"),
            )
        yield service


async def test_every_view_is_readable_and_fits(
    busy: ServiceProcess, browser: Browser
) -> None:
    """
    In both themes every text of every view has a contrast of 4.5 at least, and on 390
    and 1,280 pixels nothing makes the page scroll sideways.
    """
    async with busy.api("operator", "operate") as api:
        answer = await api.get("/v1/dead-letters", params={"user": "carla"})
    letter = answer.json()["dead_letters"][0]["event_id"]
    views = {
        "overview": "",
        "connections": "view=connections",
        "letters": "view=dead-letters",
        "search": "q=user-",
        "user": "user=ann%40example.org",
        "run": "run=run-of-ann%40example.org&user=ann%40example.org",
        "event": f"event={letter}&user=carla",
    }
    ready = {
        "overview": "document.querySelector('#overview .line-1')?.hasAttribute('d')",
        "connections": "document.querySelectorAll('#sessions tbody tr').length > 11",
        "letters": "document.querySelectorAll('#letter-list tbody tr').length === 7",
        "search": "document.querySelectorAll('#found-users tbody tr').length === 6",
        "user": "document.querySelectorAll('#user-letters tbody tr').length === 4",
        "run": "document.querySelectorAll('#run-events tbody tr').length === 4",
        "event": "document.querySelectorAll('#detail .moment').length > 1",
    }
    await pages.open_console(browser, busy)
    wrong: dict[str, object] = {}
    for name, fragment in views.items():
        browser.run("location.hash = arguments[0]", fragment)
        await browser.until(ready[name])
        for dark in (False, True):
            for width, height in _WIDTHS:
                browser.look(width=width, height=height, dark=dark)
                browser.run("document.activeElement?.blur(); scrollTo(0, 0)")
                look = f"{name}-{'dark' if dark else 'light'}-{width}"
                browser.screenshot(f"console-{look}")
                found = [browser.run(_POOR_CONTRAST), browser.run(_TOO_WIDE)]
                if found != [[], []]:
                    wrong[look] = found

    assert {} == wrong
    assert [] == browser.errors()
