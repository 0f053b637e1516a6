"""Tokens of an identity provider, checked by a real service with real key fetches."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest
from websockets.exceptions import InvalidStatus

from service import wiring
from service.contract import Path as HttpPath
from service.errors import UnavailableError
from service.settings import Settings
from tests.fakes.key_server import KeyServer, answer, key_server, ok
from tests.fakes.raw_client import raw_client
from tests.fakes.token_kit import (
    AUDIENCE,
    ISSUER,
    claims,
    confused,
    ec,
    jwk,
    key_set,
    rsa,
    signed,
)
from tests.fixtures.in_process import InProcess, in_process
from tests.fixtures.service import eventually

pytestmark = pytest.mark.integration

OLD, NEW = jwk(rsa(), kid="old"), jwk(ec(), kid="new")
OPERATOR = "olga@example.com"


@asynccontextmanager
async def provided(
    database_url: str, keys: KeyServer, **environment: object
) -> AsyncIterator[InProcess]:
    """A service whose users come from a provider."""
    async with in_process(
        database_url,
        AUTH_SECRET=None,
        AUTH_JWKS_URL=keys.url,
        AUTH_ISSUER=ISSUER,
        AUTH_AUDIENCE=AUDIENCE,
        **environment,
    ) as node:
        yield node


def by_old(**changes: object) -> str:
    fields: dict[str, Any] = changes
    return signed(rsa(), "RS256", kid="old", **fields)


async def over_http(node: InProcess, token: str) -> int:
    """Buy a ticket; return the status."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=node.url, headers=headers) as api:
        return (await api.post(HttpPath.TICKETS)).status_code


async def over_socket(node: InProcess, token: str) -> int:
    """Open a socket and greet; return the status of the upgrade."""
    try:
        async with raw_client(node.ws_url, token=token) as client:
            await client.hello()
            return 101
    except InvalidStatus as exc:
        return exc.response.status_code


async def test_only_tokens_that_hold_are_let_in(database_url: str) -> None:
    """
    Over HTTP and at the upgrade alike; what is wrong with a token is not forgiven
    because the rest is right.
    """
    late = int(time.time()) + 3_600
    tokens = {
        "good": by_old(),
        "another good one": signed(ec(), "ES256", kid="new"),
        "expired": by_old(exp=1),
        "not valid yet": by_old(nbf=late),
        "issued in the future": by_old(iat=late),
        "another audience": by_old(aud="https://other.example"),
        "another issuer": by_old(iss="https://evil.example/"),
        "no end": by_old(exp=None),
        "alg none": jwt.encode(claims(), "", algorithm="none", headers={"kid": "old"}),
        "the public key as a secret": confused(rsa(), kid="old"),
        "another's algorithm": signed(rsa(), "RS256", kid="new"),
        "another's key": signed(rsa("evil"), "RS256", kid="old"),
        "unknown kid": signed(rsa("evil"), "RS256", kid="evil"),
        "no kid": signed(rsa(), "RS256"),
        "its own key": signed(
            rsa("evil"), "RS256", kid="old", headers={"jwk": jwk(rsa("evil"))}
        ),
    }
    async with (
        key_server(ok(key_set(OLD, NEW))) as keys,
        provided(database_url, keys) as node,
    ):
        http = {name: await over_http(node, token) for name, token in tokens.items()}
        socket = {n: await over_socket(node, token) for n, token in tokens.items()}

    good = ("good", "another good one")
    assert {n: 201 if n in good else 401 for n in tokens} == http
    assert {n: 101 if n in good else 401 for n in tokens} == socket
    assert 1 == len(keys.asked)


async def test_keys_rotate_while_sessions_live(database_url: str) -> None:
    """
    A new key is learned from the first token that names it: the upgrade says "try
    again" until then. Sessions of a key that is no longer listed are closed 4401.
    """
    by_new = signed(ec(), "ES256", kid="new")
    statuses: list[int] = []

    async with (
        key_server(ok(key_set(OLD))) as keys,
        provided(database_url, keys) as node,
        raw_client(node.ws_url, token=by_old()) as ann,
    ):
        await ann.hello("a")
        keys.says = ok(key_set(OLD, NEW))

        async def let_in() -> bool:
            statuses.append(await over_socket(node, by_new))
            return statuses[-1] == 101

        await eventually(let_in, within_seconds=20.0)
        both = [await over_http(node, token) for token in (by_old(), by_new)]
        keys.says = ok(key_set(NEW))
        newest = signed(rsa("newest"), "RS256", kid="newest")

        async def forgotten() -> bool:
            await over_http(node, newest)  # has the keys looked at
            return await over_http(node, by_old()) == 401

        await eventually(forgotten, within_seconds=20.0)
        closed = await ann.refused()
        still = await over_http(node, by_new)

    assert {401, 503, 101} >= set(statuses)
    assert [201, 201] == both
    assert ("unauthorized", 4401) == closed
    assert 201 == still
    assert len(keys.asked) <= 5


async def test_a_provider_that_is_away_changes_nothing(database_url: str) -> None:
    """
    Known keys hold; health stays well and tells operators; it is counted.
    """
    async with (
        key_server(ok(key_set(OLD))) as keys,
        provided(database_url, keys) as node,
    ):
        keys.says = answer("500 Internal Server Error", b"")
        cache = node.service.auth.user_keys
        assert cache is not None

        async def noticed() -> bool:
            unknown = await over_http(node, signed(ec(), "ES256", kid="new"))
            return unknown == 503

        await eventually(noticed, within_seconds=20.0)
        known = await over_http(node, by_old())
        async with httpx.AsyncClient(base_url=node.url) as api:
            ready = (await api.get(HttpPath.HEALTH_READY)).status_code
        health = (await node.service.dependencies())["keys"]
        failed = node.service.metrics.registry.get_sample_value("keys_failed_total")

    assert (201, 200) == (known, ready)
    assert health.ok
    assert "answered 500" in health.detail
    assert failed is not None
    assert failed >= 1


async def test_without_any_key_the_service_does_not_start(database_url: str) -> None:
    """
    After several tries it says why, in one line.
    """
    listener = wiring.listen("127.0.0.1", 0)
    async with key_server(answer("404 Not Found", b"")) as keys:
        settings = Settings.read(
            {
                "DATABASE_URL": database_url,
                "AUTH_JWKS_URL": keys.url,
                "AUTH_SECRET": None,
                "ALLOWED_HOSTS": "localhost",
                "ALLOWED_ORIGINS": "http://localhost",
                "ENVIRONMENT": "development",
            }
        )
        async with wiring.connect(settings) as service:
            with pytest.raises(UnavailableError) as caught:
                async with wiring.serving(service, listener):
                    raise AssertionError("it must not serve")
    listener.close()

    assert "no keys to check tokens: keys: answered 404" == caught.value.message
    assert len(keys.asked) >= 3


async def test_codes_are_not_used_with_a_provider(database_url: str) -> None:
    """
    The service signs no tokens, so nothing can be turned into one.
    """
    async with (
        key_server(ok(key_set(OLD))) as keys,
        provided(database_url, keys) as node,
        httpx.AsyncClient(base_url=node.url) as api,
    ):
        said = await api.post(HttpPath.CODES, json={"code": "x"})

    assert 404 == said.status_code


# ---- operators ----


def id_token(**changes: object) -> str:
    good: dict[str, Any] = {
        "iss": "https://accounts.google.com",
        "sub": "12345",
        "email": OPERATOR,
        "email_verified": True,
    }
    good.update(changes)
    return by_old(**good)


async def test_operators_come_with_google_accounts(database_url: str) -> None:
    """
    A listed account sees the state of the service; it is no user and no publisher,
    and neither is anybody else with a token of Google's.
    """
    async with (
        key_server(ok(key_set(OLD))) as google,
        in_process(
            database_url,
            GOOGLE_JWKS_URL=google.url,
            OPERATOR_AUDIENCE=AUDIENCE,
            OPERATOR_ACCOUNTS=OPERATOR,
        ) as node,
    ):

        async def status(token: str, method: str, path: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=node.url, headers=headers) as api:
                return (await api.request(method, path)).status_code

        olga, eve = id_token(), id_token(email="eve@example.com")
        forged = signed(
            rsa("evil"), "RS256", kid="old", iss="https://accounts.google.com"
        )
        seen = [await status(one, "GET", "/v1/status") for one in (olga, eve, forged)]
        other = [
            await status(olga, "POST", "/v1/tickets"),
            await status(olga, "POST", "/v1/events"),
            await over_socket(node, olga),
        ]
        own = await over_http(node, node.token("ann"))
        # A user's own token that claims to be Google's is checked with Google's keys.
        secret = node.service.settings.auth_secret
        assert secret is not None
        mixed = signed(
            secret.get_secret_value(),
            "HS256",
            kid="old",
            iss="https://accounts.google.com",
            email=OPERATOR,
            email_verified=True,
        )
        confusing = await status(mixed, "GET", "/v1/status")

    assert [200, 401, 401] == seen
    assert [403, 403, 403] == other
    assert (201, 401) == (own, confusing)
