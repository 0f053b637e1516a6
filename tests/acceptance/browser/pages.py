"""What the browser tests do with both pages, and the run that they watch."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlencode

from service.agents.bridge import AgentWebSocketBridge
from service.agents.dispatcher import UnifiedToolDispatcher
from tests.fixtures.chromium import Browser
from tests.fixtures.service import ServiceProcess

LIVE = "document.querySelector('#connection').dataset.state === 'live'"
ALL_CONFIRMED = (
    "document.querySelectorAll('.tick[data-delivery=confirmed]').length > 0 && "
    "!document.querySelector('.tick[data-delivery]:not([data-delivery=confirmed])')"
)
RUN_IS_OVER = "document.querySelector('#runs .result, #runs .failure') !== null"
_OPEN_ALL = (
    "document.querySelectorAll('#runs details').forEach(d => { d.open = true; })"
)
_ALL_OPEN = (
    "[...document.querySelectorAll('#runs details')].every(d => d.children.length > 1)"
)


async def open_user_page(browser: Browser, service: ServiceProcess, user: str) -> None:
    """Open the user's page by a one-time code and wait until it is live."""
    code = await service.code(user)
    browser.open(f"{service.url}/#code={code}")
    await browser.until(LIVE)


async def open_console(browser: Browser, service: ServiceProcess) -> None:
    """Open the console by a one-time code and wait until it shows numbers."""
    code = await service.code("operator", "operate")
    browser.open(f"{service.url}/console#code={code}")
    await browser.until(
        "/\\d/.test(document.querySelector('#count-published').textContent)"
    )


async def show(browser: Browser, **route: str) -> None:
    """Go to a view of the console, as a link does, and wait until it is there."""
    browser.run("location.hash = arguments[0]", urlencode(route))
    await browser.until("document.querySelector('.view:not([hidden]) .view-title')")


async def whole_page(browser: Browser) -> list[str]:
    """Return the text of every run, with everything in it opened."""
    await browser.until(ALL_CONFIRMED)
    browser.run(_OPEN_ALL)
    await browser.until(_ALL_OPEN)
    return browser.texts("#runs > .run")


@asynccontextmanager
async def bridge_to(
    service: ServiceProcess, user: str, *, run_id: str = "run-1"
) -> AsyncIterator[AgentWebSocketBridge]:
    """An agent elsewhere, which publishes over HTTP."""
    async with service.publisher() as publisher:
        yield AgentWebSocketBridge(publisher, user_id=user, run_id=run_id)


def tools_of(bridge: AgentWebSocketBridge) -> UnifiedToolDispatcher:
    """Return a dispatcher with two tools: one works, one fails."""
    dispatcher = UnifiedToolDispatcher(bridge)

    @dispatcher.tool()
    def search_trains(origin: str, destination: str) -> dict[str, object]:
        """Find trains."""
        return {"from": origin, "to": destination, "trains": ["NJ 233", "EC 31"]}

    @dispatcher.tool()
    def price(train: str) -> int:
        """Say what a train costs."""
        raise ValueError(f"no price for {train}")

    return dispatcher


async def first_half(bridge: AgentWebSocketBridge) -> None:
    """Publish the first half of a run."""
    tools = tools_of(bridge)
    await bridge.agent_started(agent="travel-planner", request="A night train, please")
    await bridge.agent_thinking("I look at the timetable first.", step=1)
    await tools.run("search_trains", {"origin": "Wien", "destination": "Venezia"})
    await bridge.progress(1, total=2, text="Timetable read")


async def second_half(bridge: AgentWebSocketBridge) -> None:
    """Publish the rest of the run."""
    tools = tools_of(bridge)
    await bridge.agent_thinking("Now the price.", step=2)
    await tools.run("price", {"train": "NJ 233"})
    await bridge.custom("seat_map", {"wagon": 263, "free": [11, 12]})
    await bridge.progress(2, total=2, text="Prices read")
    await bridge.agent_completed({"text": "NJ 233 at 21:27.", "trains": 2})


async def outcomes(service: ServiceProcess, user: str) -> list[str | None]:
    """Return what the database says of each event of a user, in order of seq."""
    async with service.api(user) as api:
        answer = (await api.get(f"/v1/users/{user}/events?limit=1000")).json()
    return [event["outcome"] for event in answer["events"]]


async def status(service: ServiceProcess) -> dict[str, dict[str, int]]:
    """Return what the service says of itself."""
    async with service.api("operator", "operate") as api:
        answer = await api.get("/v1/status")
    return cast(dict[str, dict[str, int]], answer.json())


async def devices(service: ServiceProcess, user: str) -> list[str]:
    """Return the devices of a user that are connected."""
    async with service.api("operator", "operate") as api:
        sessions = (await api.get("/v1/status")).json()["sessions"]
    return sorted(one["device_id"] for one in sessions if one["user_id"] == user)
