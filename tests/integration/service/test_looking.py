"""Looking at users changes nothing."""

import pytest

from tests.fixtures.service import ServiceProcess

pytestmark = pytest.mark.integration


async def test_looking_at_a_name_makes_no_stream(service: ServiceProcess) -> None:
    """
    An operator who mistypes a user is told so; nothing is left behind.
    """
    async with service.api("operator", "operate") as api:
        answer = await api.get("/v1/users/nobody/events")
        status = (await api.get("/v1/status")).json()

    assert (404, "not_found") == (answer.status_code, answer.json()["code"])
    assert [] == status["streams"]
