import enum
import itertools
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import PurePosixPath

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.agents.plain import to_json
from service.core.draft import encode_data
from service.observe.redaction import REDACTED, is_secret_name, redact_text


@dataclass
class Point:
    x: int
    password: str


class Colour(enum.Enum):
    RED = "red"


class Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError("no")


class HostileText(dict[str, object]):
    def items(self) -> object:  # type: ignore[override]
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "api_key",
        "apiKey",
        "X-API-Key",
        "Authorization",
        "accessToken",
        "client_secret",
        "privateKey",
        "set-cookie",
    ],
)
def test_secret_names_are_known(name: str) -> None:
    """
    A secret is known by its name in every common spelling.
    """
    assert is_secret_name(name)
    assert {name: REDACTED} == to_json({name: "hunter2"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("author", "me"), ("tokenizer", "bpe"), ("max_token", 5), ("keyboard", "us")],
)
def test_harmless_names_are_left_alone(name: str, value: object) -> None:
    """
    A name that only resembles a secret's, or counts tokens, keeps its value.
    """
    assert {name: value} == to_json({name: value})


def test_a_secret_of_any_shape_is_hidden() -> None:
    """
    A number, list or object named as a secret is hidden too.
    """
    given = {"password": 1234, "secrets": ["a", "b"], "credentials": {"user": "u"}}

    assert dict.fromkeys(given, REDACTED) == to_json(given)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("curl -H 'Authorization: Bearer abcdefgh12345'", "abcdefgh12345"),
        ("postgresql://app:s3cr3t@db/events", "s3cr3t"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "eyJzdWIiOiIx"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "MIIE"),
    ],
)
def test_credentials_in_text_are_hidden(text: str, hidden: str) -> None:
    """
    Credentials inside a text are hidden, whatever its name.
    """
    assert hidden not in redact_text(text)
    assert REDACTED in redact_text(text)


@pytest.mark.parametrize(
    "bait",
    [
        "eyJ-",
        "eyJaaaaaaaa.",
        "bearer ",
        "bearer" + " " * 500,
        "a://b:",
        "a-",
        "-----BEGIN A PRIVATE KEY-----",
        "-----BEGIN " + "A" * 40,
    ],
)
def test_hostile_text_is_redacted_in_no_time(bait: str) -> None:
    """
    No text makes the search for credentials slow: 64 KiB take well under a second.
    """
    text = bait * (65_536 // len(bait))
    began = time.process_time()
    redact_text(text)

    assert time.process_time() - began < 0.5


def test_what_is_not_json_is_named() -> None:
    """
    Values that JSON lacks get a clear representation.
    """
    given = {
        "when": datetime(2030, 1, 2, tzinfo=UTC),
        "wait": timedelta(seconds=90),
        "cost": Decimal("1.50"),
        "path": PurePosixPath("a/b"),
        "bytes": b"\0\1",
        "set": {3, 1},
        "enum": Colour.RED,
        "nan": float("nan"),
        "big": 2**63,
        "huge": 10**5000,
        "record": Point(x=1, password="p"),
        "error": ValueError("bad"),
        "type": Point,
    }

    assert {
        "when": "2030-01-02T00:00:00+00:00",
        "wait": 90.0,
        "cost": "1.50",
        "path": "a/b",
        "bytes": "[2 bytes of binary data]",
        "set": [1, 3],
        "enum": "red",
        "nan": "nan",
        "big": "9223372036854775808",
        "huge": "[an integer of 16610 bits]",
        "record": {"x": 1, "password": REDACTED},
        "error": "ValueError: bad",
        "type": "[builtins.type]",
    } == to_json(given)


def test_a_value_that_raises_is_named_and_the_rest_stays() -> None:
    """
    A value whose own code raises does not take the others along.
    """
    shown = to_json({"a": 1, "b": Hostile(), "c": HostileText(x=1)})

    assert {
        "a": 1,
        "b": "[not readable: RuntimeError]",
        "c": "[not readable: RuntimeError]",
    } == shown


def test_two_keys_that_json_cannot_tell_apart_both_stay() -> None:
    """
    1 and "1" are two keys in Python; neither value is lost.
    """
    assert {"1": "int", "1 (str)": "str"} == to_json({1: "int", "1": "str"})


def test_a_cut_text_says_its_size() -> None:
    """
    A cut is visible and states the original size.
    """
    shown = to_json("a" * 100_000, max_string_chars=10)

    assert "aaaaaaaaaa… [truncated: 100000 characters in all]" == shown


def test_a_cut_list_says_how_much_is_missing() -> None:
    """
    A list over the limit states how many of its items are left out.
    """
    shown = to_json(list(range(5_000)))

    assert isinstance(shown, list)
    assert "[truncated: 4000 of 5000 items left out]" == shown[-1]


def test_a_secret_across_the_cut_stays_hidden() -> None:
    """
    Cutting never leaves half a credential that nobody recognises.
    """
    shown = to_json("x" * 90 + " Bearer " + "s" * 400, max_string_chars=100)

    assert "s" * 8 not in str(shown)


def test_endless_structures_end() -> None:
    """
    A list that holds itself many times over is cut, not followed.
    """
    loop: list[object] = []
    loop += itertools.repeat(loop, 300)

    assert len(msgspec.json.encode(to_json(loop))) < 200_000


_ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=3_000)  # lone surrogates too
    | st.binary()
    | st.decimals(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=60,
)


@given(_ANYTHING, st.integers(16 * 1024, 32 * 1024))
def test_whatever_comes_out_is_an_event_within_its_size(
    value: object, max_bytes: int
) -> None:
    """
    Any value becomes data that the service accepts, within the size asked for.
    """
    encoded = encode_data(to_json(value, max_bytes=max_bytes))

    assert len(encoded) <= max_bytes


@given(st.integers(16 * 1024, 64 * 1024), st.integers(1, 40), st.integers(1, 400))
def test_large_and_deep_values_stay_within_the_size(
    max_bytes: int, depth: int, width: int
) -> None:
    """
    The size holds for values far over it, however they are nested.
    """
    value: object = "\0" * 5_000
    for level in range(depth):
        value = {f"{level}é" * 300: value, "more": ["ü" * 500] * width}

    assert len(encode_data(to_json(value, max_bytes=max_bytes))) <= max_bytes
