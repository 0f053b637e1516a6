"""Data of events is hostile; on both pages it stays text."""

import msgspec
import pytest

from service.core.draft import Draft
from tests.acceptance.browser import pages
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.browser]

SCRIPT = "<script>window.hacked = 1</script>"
IMAGE = "<img src=x onerror='window.hacked = 1'>"
RIGHT_TO_LEFT = "\u202egnp.exe \u0645\u0631\u062d\u0628\u0627 \u2066"
DEEP: object = "deep"
for _ in range(60):
    DEEP = [DEEP]
DATA: list[tuple[str, object]] = [
    ("agent_started", {"agent": IMAGE, "request": SCRIPT}),
    ("agent_started", None),
    ("agent_thinking", {"text": SCRIPT + IMAGE + RIGHT_TO_LEFT}),
    ("agent_thinking", {"text": {"not": "text"}, "step": "no number"}),
    ("agent_thinking", [1, 2]),
    ("tool_executing", {"call_id": {}, "tool": IMAGE, "arguments": {SCRIPT: IMAGE}}),
    ("tool_completed", {"call_id": "__proto__", "tool": 7, "ok": False, "error": "no"}),
    ("tool_completed", "not even an object"),
    ("progress", {"done": "much", "total": -1, "text": IMAGE}),
    ("progress", {"done": 1e308, "total": 1e-308, "text": SCRIPT}),
    ("events_dropped", {"count": IMAGE}),
    ("constructor", {"__proto__": {"polluted": True}, "toString": IMAGE}),
    ("hasOwnProperty", DEEP),
    (
        "javascript:alert(1)",
        msgspec.Raw(b'{"big": 123456789012345678901, "more": -1e308}'),
    ),
    ("long_text", "x" * 100_000 + IMAGE),
    ("many_fields", {f"field {number}": IMAGE for number in range(500)}),
    ("agent_error", {"kind": SCRIPT, "message": IMAGE}),
    ("agent_completed", {"result": {"text": IMAGE, SCRIPT: SCRIPT}}),
]


def _drafts() -> list[Draft]:
    return [
        Draft(user_id="ann", run_id=f"<b>{SCRIPT}", type=kind, data=data)
        for kind, data in DATA
    ]


async def test_hostile_data_stays_text_on_the_users_page(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    Markup is shown as it was written, nothing runs, and every event is confirmed.
    """
    await pages.open_user_page(browser, service, "ann")
    await service.publish(*_drafts())
    await browser.until("document.querySelector('.result') !== null")
    text = "".join(await pages.whole_page(browser))
    browser.screenshot("user-hostile")

    assert SCRIPT in text
    assert IMAGE in text
    assert None is browser.run("return window.hacked")
    assert 0 == browser.count("#runs img, #runs script, #runs b")
    assert False is browser.run("return 'polluted' in {}")
    assert ["confirmed"] * len(DATA) == await pages.outcomes(service, "ann")
    assert "Live" == browser.text("#connection")
    assert [] == browser.errors()


async def test_long_text_opens_on_demand_and_nothing_is_wider_than_the_page(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    A long text shows its beginning first; no text makes the page scroll sideways.
    """
    browser.look(width=400)
    await pages.open_user_page(browser, service, "ann")
    await service.publish(*_drafts())
    await browser.until("document.querySelector('.result') !== null")
    short = len(browser.text("#runs"))
    browser.run("document.querySelectorAll('#runs .more').forEach(b => b.click())")

    assert short < 20_000
    assert 100_000 < len(browser.text("#runs"))
    assert True is browser.run(
        "return document.documentElement.scrollWidth <= window.innerWidth"
    )


async def test_hostile_data_stays_text_on_the_console(
    service: ServiceProcess, browser: Browser
) -> None:
    """
    The console shows an event's data, its ids and its user's name as text too.
    """
    user = "<i>ann"
    receipts = await service.publish(
        Draft(
            user_id=user,
            type=IMAGE,
            event_id="<script>#?%",
            data={SCRIPT: IMAGE, "big": msgspec.Raw(b"123456789012345678901")},
        )
    )
    await pages.open_console(browser, service)
    await browser.until("document.querySelector('#streams .opener') !== null")
    browser.element("#streams .opener").click()
    await browser.until("document.querySelector('#detail .opener') !== null")
    browser.element("#detail .opener").click()
    await browser.until("document.querySelector('#detail .timeline') !== null")
    text = browser.text("#detail")

    assert user == browser.text("#streams .opener")
    assert receipts[0].event_id in text
    assert SCRIPT in text
    assert IMAGE in text
    assert "123456789012345678901" in text
    assert None is browser.run("return window.hacked")
    assert 0 == browser.count("main img, main script, main i")
    assert [] == browser.errors()
