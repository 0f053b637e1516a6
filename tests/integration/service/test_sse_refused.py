"""What a refused stream leaves behind: nothing."""

import httpx
import pytest

from service.contract import Path
from tests.fakes.sse_client import sse_client
from tests.fixtures.in_process import in_process

pytestmark = pytest.mark.integration


async def test_a_refused_stream_leaves_its_connection_to_others(
    database_url: str,
) -> None:
    """
    The connection by which a stream was refused serves the next request whole.
    """
    async with (
        in_process(database_url, MAX_CONNECTIONS=5) as node,
        node.api("ann") as ann,
        node.api("bot", "publish") as bot,
        sse_client(ann, device="one"),
        sse_client(ann, device="two"),
        sse_client(ann, device="three"),
        sse_client(ann, device="four"),
    ):
        lying = {"device": "d", "replaces": "x"}
        refused = await bot.get(Path.STREAM, params=lying)
        answer = await bot.post(
            Path.EVENTS,
            params={"wait": "confirmed", "timeout": 3},
            json={"user_id": "bob", "type": "progress"},
        )

    assert (503, 201) == (refused.status_code, answer.status_code)
    assert connection_of(refused) is connection_of(answer)


def connection_of(response: httpx.Response) -> object:
    return response.extensions["network_stream"]
