"""Keys of an identity provider: kept, looked at again, and what tokens they prove."""

import asyncio
import time
from collections.abc import Callable

import jwt
import pytest

from service.errors import AuthenticationError, UnavailableError
from service.transport.auth.claims import Rules
from service.transport.auth.jwks import PAUSE_SECONDS, KeyCache, SignedTokens
from tests.fakes.token_kit import (
    AUDIENCE,
    ISSUER,
    claims,
    confused,
    ec,
    ed,
    jwk,
    key_set,
    pem,
    rsa,
    signed,
)

BOTH = key_set(jwk(rsa(), kid="r"), jwk(ec(), kid="e"))


class Provider:
    """Answers with a document, or is away; waits when it is told to."""

    def __init__(self, document: bytes | None) -> None:
        self.document = document
        self.asked = 0
        self.seen = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def __call__(self) -> bytes:
        self.asked += 1
        self.seen.set()
        await self.answers.wait()
        if self.document is None:
            raise UnavailableError("away")
        return self.document


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Known:
    """A cache on a provider, and how often it failed."""

    def __init__(self, document: bytes | None) -> None:
        self.provider = Provider(document)
        self.clock = Clock()
        self.failures = 0
        self.cache = KeyCache(self.provider, monotonic=self.clock, failed=self._count)

    def _count(self) -> None:
        self.failures += 1

    @property
    def tokens(self) -> SignedTokens:
        rules = Rules(
            issuers=[ISSUER], audience=AUDIENCE, leeway_seconds=30, wall=time.time
        )
        return SignedTokens(self.cache, rules)

    async def later(self, seconds: float = PAUSE_SECONDS) -> None:
        self.clock.now += seconds
        await self.cache.look_again()


async def known(*keys: object) -> Known:
    found = Known(key_set(*keys) if keys else BOTH)
    await found.cache.start()
    return found


def refused(read: Callable[[str], object], token: str) -> str:
    with pytest.raises(AuthenticationError) as caught:
        read(token)
    return caught.value.reason


# ---- tokens ----


@pytest.mark.parametrize(
    ("token", "entry"),
    [
        (signed(rsa(), "RS256", kid="k"), jwk(rsa(), kid="k")),
        (signed(rsa(), "PS256", kid="k"), jwk(rsa(), kid="k", alg="PS256")),
        (signed(ec(), "ES256", kid="k"), jwk(ec(), kid="k")),
        (signed(ed(), "EdDSA", kid="k"), jwk(ed(), kid="k")),
    ],
    ids=["RS256", "PS256", "ES256", "EdDSA"],
)
async def test_a_signed_token_names_its_holder(
    token: str, entry: dict[str, object]
) -> None:
    """
    A token of a listed key stands for its user, and remembers the key.
    """
    found = await known(entry)

    who = found.tokens.read(token)

    assert "ada" == who.subject
    assert found.tokens.vouches(who.key_id)
    assert not found.tokens.vouches(None)


async def test_the_only_key_needs_no_name() -> None:
    """
    With one key a token need not say which; with several it must.
    """
    one, two = await known(jwk(ec())), await known()

    assert "ada" == one.tokens.read(signed(ec(), "ES256")).subject
    assert "key" == refused(two.tokens.read, signed(ec(), "ES256"))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (signed(rsa("other"), "RS256", kid="r"), "signature"),
        (signed(rsa(), "RS256", kid="e"), "algorithm"),
        (signed(rsa(), "RS512", kid="r"), "algorithm"),
        (signed(rsa(), "PS256", kid="r"), "algorithm"),
        (signed("s" * 32, "HS256", kid="r"), "algorithm"),
        (confused(rsa(), kid="r"), "algorithm"),
        (jwt.encode(claims(), "", algorithm="none", headers={"kid": "r"}), "algorithm"),
        (signed(rsa(), "RS256", kid="r", exp=1), "expired"),
        (signed(rsa(), "RS256", kid="r", exp=None), "claims"),
        (signed(rsa(), "RS256", kid="r", nbf=9_999_999_999), "not_yet_valid"),
        (signed(rsa(), "RS256", kid="r", iat=9_999_999_999), "not_yet_valid"),
        (signed(rsa(), "RS256", kid="r", aud="https://other"), "audience"),
        (signed(rsa(), "RS256", kid="r", aud=None), "claims"),
        (signed(rsa(), "RS256", kid="r", iss="https://id.example"), "issuer"),
        (signed(rsa(), "RS256", kid="r", iss=None), "claims"),
        (signed(rsa(), "RS256", kid="unheard of"), "key"),
        (signed(rsa(), "RS256"), "key"),
        ("x.y.z", "malformed"),
        ("", "malformed"),
    ],
)
async def test_a_token_that_does_not_hold(token: str, reason: str) -> None:
    """
    Another key, algorithm, audience, issuer or time: refused, by its reason.
    """
    found = await known()

    assert reason == refused(found.tokens.read, token)


async def test_the_public_key_is_no_secret() -> None:
    """
    A token signed by HS256 with the text of the public key is refused, also where it
    is the only key; the test's own token is what a careless reader would accept.
    """
    token = confused(rsa())
    found = await known(jwk(rsa()))

    assert "algorithm" == refused(found.tokens.read, token)
    with pytest.raises(jwt.InvalidKeyError):  # the library has its own guard, too
        jwt.decode(token, pem(rsa()), algorithms=["HS256"], audience=AUDIENCE)


async def test_keys_in_the_token_are_not_looked_at() -> None:
    """
    A token that brings its own key, or says where to fetch one, proves nothing.
    """
    mine = rsa("mine")
    headers: dict[str, object] = {
        "jwk": jwk(mine, kid="r"),
        "jku": "http://127.0.0.1:1/keys",
        "x5u": "http://127.0.0.1:1/cert",
        "x5c": ["MIIB"],
    }
    found = await known()

    token = signed(mine, "RS256", kid="r", headers=headers)
    good = signed(rsa(), "RS256", kid="r", headers=headers)

    assert "signature" == refused(found.tokens.read, token)
    assert "ada" == found.tokens.read(good).subject
    assert 1 == found.provider.asked


# ---- keeping ----


async def test_rotation_overlaps() -> None:
    """
    A new key holds when it is listed, the old one as long as it is.
    """
    old, new = jwk(rsa(), kid="old"), jwk(ec(), kid="new")
    by_old, by_new = signed(rsa(), "RS256", kid="old"), signed(ec(), "ES256", kid="new")
    found = await known(old)
    key_id = found.tokens.read(by_old).key_id

    found.provider.document = key_set(old, new)
    await found.later()
    both = [found.tokens.read(token).subject for token in (by_old, by_new)]
    still = found.tokens.vouches(key_id)
    found.provider.document = key_set(new)
    await found.later()

    assert (["ada", "ada"], True) == (both, still)
    assert "ada" == found.tokens.read(by_new).subject
    assert "key" == refused(found.tokens.read, by_old)
    assert not found.tokens.vouches(key_id)


async def test_an_unknown_key_is_looked_for_before_it_is_refused() -> None:
    """
    The answer is "try again" until the provider was asked, then it is certain; ten
    seconds must be between two questions.
    """
    found = await known()
    token = signed(ec("new"), "ES256", kid="new")
    early = refused(found.tokens.read, token)
    found.clock.now += PAUSE_SECONDS
    with pytest.raises(UnavailableError):
        found.tokens.read(token)
    await found.tokens.look_again()
    await found.tokens.look_again()

    assert "key" == early == refused(found.tokens.read, token)
    assert 2 == found.provider.asked


async def test_the_background_answers_what_was_asked_for() -> None:
    """
    A token with a new key has it fetched without anybody waiting.
    """
    found = await known()
    token = signed(ec("new"), "ES256", kid="new")
    found.provider.document = key_set(jwk(ec("new"), kid="new"))
    found.provider.seen.clear()
    found.clock.now += PAUSE_SECONDS
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(found.cache.run())
        with pytest.raises(UnavailableError):
            found.tokens.read(token)
        await found.provider.seen.wait()
        await found.tokens.look_again()  # waits for the one that runs
        running.cancel()

    assert "ada" == found.tokens.read(token).subject
    assert 2 == found.provider.asked


async def test_many_who_look_share_one_fetch() -> None:
    """
    A flood of unknown keys costs the provider one request.
    """
    found = await known()
    found.clock.now += PAUSE_SECONDS
    found.provider.answers.clear()
    found.provider.seen.clear()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(found.cache.look_again())
        await found.provider.seen.wait()
        with pytest.raises(UnavailableError):  # while it runs nothing is certain
            found.tokens.read(signed(ec("new"), "ES256", kid="new"))
        found.provider.answers.set()

    assert 2 == found.provider.asked


@pytest.mark.parametrize("document", [None, b"<html>", b'{"keys":[]}'])
async def test_the_last_good_keys_hold_while_the_provider_is_away(
    document: bytes | None,
) -> None:
    """
    Users stay; health says what is wrong; an unknown key is "try again", not "no".
    """
    found = await known()
    found.provider.document = document
    await found.later()

    health = found.cache.health()
    assert "ada" == found.tokens.read(signed(rsa(), "RS256", kid="r")).subject
    assert (1, True) == (found.failures, health.ok)
    assert "2 keys, 10 s old; last try: " in health.detail
    with pytest.raises(UnavailableError):
        found.tokens.read(signed(ec("new"), "ES256", kid="new"))


async def test_health_shows_the_age_of_the_keys() -> None:
    """
    While all is well there is no word of trouble.
    """
    found = await known()

    assert "2 keys, 0 s old" == found.cache.health().detail


async def test_without_keys_nothing_is_certain() -> None:
    """
    Before the first keys every token is answered "try again", and health says so.
    """
    found = Known(None)

    health = found.cache.health()
    assert (False, "no keys: not asked yet") == (health.ok, health.detail)
    assert not found.tokens.vouches(None)
    with pytest.raises(UnavailableError):
        found.tokens.read(signed(rsa(), "RS256", kid="r"))


async def test_start_gives_up_after_several_tries() -> None:
    """
    A provider that is away for long is a clear error, after more than one try.
    """
    provider = Provider(None)
    failures: list[None] = []
    cache = KeyCache(
        provider, monotonic=time.monotonic, failed=lambda: failures.append(None)
    )

    with pytest.raises(UnavailableError, match="no keys to check tokens: away"):
        await cache.start(within_seconds=1.0)

    assert 1 < provider.asked == len(failures)


async def test_start_waits_for_a_provider_that_comes_back() -> None:
    """
    One failure is not the end.
    """
    provider = Provider(None)
    cache = KeyCache(
        provider,
        monotonic=time.monotonic,
        failed=lambda: setattr(provider, "document", BOTH),
    )

    await cache.start(within_seconds=5.0)

    assert (2, True) == (provider.asked, cache.health().ok)
