"""Tokens of the metadata server: asked for once, in time, and never shown."""

import asyncio
import json

import pytest

from service.adapters.google_login import DATABASE_SCOPE, AccessTokens
from service.errors import UnavailableError
from tests.fakes.deadline import deadline, eventually
from tests.fakes.metadata_server import MetadataServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(30)]


class Clock:
    """Goes on when told; a sleep is over at once, and counted."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(metadata: MetadataServer, clock: Clock) -> AccessTokens:
    return AccessTokens(
        metadata.host,
        scope=DATABASE_SCOPE,
        attempt_seconds=0.5,
        monotonic=clock,
        sleep=clock.sleep,
    )


async def value(tokens: AccessTokens) -> str:
    return (await tokens.get()).value


async def test_many_at_once_ask_once(
    metadata: MetadataServer, tokens: AccessTokens
) -> None:
    """
    However many connections are opened at the same time, the server is asked once,
    for the scope that is needed.
    """
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(value(tokens)) for _ in range(50)]

    assert {metadata.token} == {task.result() for task in asking}
    assert [DATABASE_SCOPE] == metadata.asked


async def test_a_new_one_is_asked_for_before_the_end(
    metadata: MetadataServer, tokens: AccessTokens, clock: Clock
) -> None:
    """
    A token is kept for most of its hour, and replaced while it is still good.
    """
    first = await value(tokens)
    second = metadata.rotate()
    clock.now += 3599 - 226
    kept = await value(tokens)
    clock.now += 2

    assert first == kept
    assert second == await value(tokens)
    assert 2 == len(metadata.asked)


async def test_a_short_one_serves_half_its_life(
    metadata: MetadataServer, tokens: AccessTokens, clock: Clock
) -> None:
    """
    The server gives what is left of a token; that is not asked for by every login.
    """
    metadata.lifetime_seconds = 60
    await value(tokens)
    clock.now += 29
    await value(tokens)
    kept = len(metadata.asked)
    clock.now += 2
    await value(tokens)

    assert (1, 2) == (kept, len(metadata.asked))


async def test_a_refused_one_is_not_shown_again(
    metadata: MetadataServer, tokens: AccessTokens
) -> None:
    """
    Who was refused gets a new token; a late word about an old one costs nothing.
    """
    first = await tokens.get()
    metadata.rotate()
    tokens.refused(first)
    second = await tokens.get()
    tokens.refused(first)
    third = await tokens.get()

    assert metadata.token == second.value
    assert second is third
    assert 2 == len(metadata.asked)


async def test_a_failure_that_may_pass_is_tried_again(
    metadata: MetadataServer, tokens: AccessTokens, clock: Clock
) -> None:
    """
    Two refusals in a row are nothing but a short wait.
    """
    metadata.failures = 2

    assert metadata.token == await value(tokens)
    assert [0.1, 0.2] == clock.slept


async def test_a_failure_that_stays_is_told_to_all(
    metadata: MetadataServer, tokens: AccessTokens
) -> None:
    """
    Three attempts, then whoever waits hears what is wrong; nobody tries on his own.
    """
    metadata.failures = -1
    results = await asyncio.gather(
        *(value(tokens) for _ in range(20)), return_exceptions=True
    )

    assert {"the metadata server answered 503"} == {str(one) for one in results}
    assert all(isinstance(one, UnavailableError) for one in results)
    assert 3 == len(metadata.asked)


async def test_a_token_that_holds_outlives_the_server(
    metadata: MetadataServer, tokens: AccessTokens, clock: Clock
) -> None:
    """
    While the metadata server is away the token is used to its end, and the server is
    asked every ten seconds only.
    """
    first = await value(tokens)
    metadata.failures = -1
    clock.now += 3599 - 100
    used = [await value(tokens) for _ in range(5)]
    asked = len(metadata.asked)
    clock.now += 11
    await value(tokens)
    asked_later = len(metadata.asked)
    clock.now += 100

    assert {first} == set(used)
    assert (1 + 3, 1 + 3 + 3) == (asked, asked_later)
    with pytest.raises(UnavailableError):
        await tokens.get()


async def test_no_token_is_used_past_its_end(
    metadata: MetadataServer, tokens: AccessTokens, clock: Clock
) -> None:
    """
    The rest between two questions never outlasts the token.
    """
    await tokens.get()
    metadata.failures = -1
    clock.now += 3599 - 12
    await tokens.get()
    clock.now += 3

    with pytest.raises(UnavailableError, match="503"):
        await tokens.get()


async def test_one_that_was_cancelled_leaves_the_rest(
    metadata: MetadataServer, tokens: AccessTokens
) -> None:
    """
    When the one who asks for all is cancelled, another of them asks.
    """
    metadata.silent = True
    async with asyncio.TaskGroup() as group:
        first = group.create_task(value(tokens))
        await eventually(metadata.was_asked)
        second = group.create_task(value(tokens))
        await asyncio.sleep(0)
        metadata.silent = False
        first.cancel()

    assert first.cancelled()
    assert metadata.token == second.result()


async def test_a_silent_server_is_given_up(
    metadata: MetadataServer, tokens: AccessTokens
) -> None:
    """
    Nobody waits for ever: each attempt has its time, and there are three.
    """
    metadata.silent = True

    async with deadline(5.0, "an answer"):
        with pytest.raises(UnavailableError, match="away: TimeoutError"):
            await tokens.get()
    assert 3 == len(metadata.asked)


async def test_nobody_there(tokens: AccessTokens, clock: Clock) -> None:
    """
    Outside the cloud the error says so in words.
    """
    nowhere = AccessTokens("127.0.0.1:1", scope="s", monotonic=clock, sleep=clock.sleep)

    with pytest.raises(UnavailableError, match="the metadata server is away: Connect"):
        await nowhere.get()


async def test_somebody_else_answers(
    metadata: MetadataServer, tokens: AccessTokens
) -> None:
    """
    What does not call itself the metadata server is not believed, nor asked again.
    """
    metadata.flavor = None

    with pytest.raises(UnavailableError, match="no Metadata-Flavor: Google"):
        await tokens.get()
    assert 1 == len(metadata.asked)


async def test_no_service_account(
    metadata: MetadataServer, tokens: AccessTokens
) -> None:
    """
    An instance without a service account is told apart from a server that is away.
    """
    metadata.status, metadata.failures = 404, -1

    with pytest.raises(UnavailableError, match="404; has the instance a service acc"):
        await tokens.get()
    assert 1 == len(metadata.asked)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>secret-word</html>",
        b'["secret-word"]',
        b'{"access_token": "secret-word"}',
        b'{"access_token": "", "expires_in": 10}',
        b'{"access_token": 7, "expires_in": 10}',
        b'{"access_token": "secret-word", "expires_in": "soon"}',
        b'{"access_token": "secret-word", "expires_in": 0}',
        b'{"access_token": "secret-word", "expires_in": NaN}',
        b'{"access_token": "secret-word' + b"x" * 100_000,
    ],
    ids=lambda body: body[:40].decode(),
)
async def test_an_answer_without_a_token(
    metadata: MetadataServer, tokens: AccessTokens, body: bytes
) -> None:
    """
    An answer that is not whole is refused, without quoting it.
    """
    metadata.body = body or b"{}"

    with pytest.raises(UnavailableError) as caught:
        await tokens.get()
    assert "the metadata server answered without a token" == str(caught.value)
    assert caught.value.__cause__ is None or "secret" not in str(caught.value.__cause__)


async def test_no_token_is_shown(
    metadata: MetadataServer, tokens: AccessTokens
) -> None:
    """
    Neither a token's repr nor that of its source has it.
    """
    token = await tokens.get()

    assert metadata.token == token.value
    assert token.value not in json.dumps([repr(token), repr(tokens), str(token)])
