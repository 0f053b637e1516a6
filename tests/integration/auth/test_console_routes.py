"""What the console asks for is for operators: the service says so, not the page."""

import re
from pathlib import Path

import pytest

from service.core.draft import Draft
from tests.fixtures.in_process import in_process

pytestmark = pytest.mark.integration

CONSOLE = Path(__file__).resolve().parents[3] / "service" / "web" / "console"
_PATH = re.compile(r'["`](/v1/[a-z/-]+)')
# Users may read these of themselves; the query names another one.
QUERIES = {
    "/v1/samples": "",
    "/v1/search": "?q=ann",
    "/v1/runs": "?user=ann&run=r",
    "/v1/status": "",
    "/v1/sessions": "",
    "/v1/users/": "ann/events",
    "/v1/dead-letters": "",
    "/v1/dead-letters/summary": "",
    "/v1/dead-letters/export": "",
}
BODIES: dict[str, dict[str, object]] = {
    "/v1/dead-letters/redrive": {"all": True},
    "/v1/dead-letters/discard": {"all": True},
    "/v1/drain": {"revision": "local"},
    "/v1/revocations": {"user": "ann"},
}
# A publisher may ask for the story of an event; see test_cross_user for users.
OTHERS = {"/v1/events/"}


def paths_of_the_console() -> set[str]:
    """Return every path that the console's files name."""
    text = "".join(file.read_text() for file in CONSOLE.glob("*.js"))
    return set(_PATH.findall(text))


async def test_every_route_of_the_console_needs_the_operators_scope(
    database_url: str,
) -> None:
    """
    With any other scope each is 403; the table names every path that the page has.
    """
    async with in_process(database_url) as node:
        await node.tracker.publish(Draft(user_id="ann", type="progress"))
        async with node.api("ben", "publish") as api:
            said = {
                path: (await api.get(f"{path}{query}")).status_code
                for path, query in QUERIES.items()
            }
            for path, body in BODIES.items():
                said[path] = (await api.post(path, json=body)).status_code
        async with node.api("olga", "operate") as operator:
            allowed = {
                (await operator.get(f"{path}{query}")).status_code
                for path, query in QUERIES.items()
            }

    assert QUERIES.keys() | BODIES.keys() | OTHERS == paths_of_the_console()
    assert {403} == set(said.values()), said
    assert {200} == allowed


async def test_samples_and_search_name_the_field_that_is_wrong(
    database_url: str,
) -> None:
    """
    Bad values are 400, with the field's name.
    """
    bad = {
        "/v1/samples?minutes=0": "minutes",
        "/v1/samples?minutes=1e9": "minutes",
        "/v1/search": "q",
        "/v1/search?q=": "q",
        "/v1/search?q=%00": "q",
        "/v1/search?q=a&limit=0": "limit",
        "/v1/runs?user=ann": "run",
        "/v1/runs?user=ann&run=r&after=-1": "after",
    }
    async with in_process(database_url) as node, node.api("olga", "operate") as api:
        said = {path: (await api.get(path)).json() for path in bad}

    assert bad == {path: body["errors"][0]["field"] for path, body in said.items()}
