"""What a principal may do."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import PermissionDeniedError
from service.transport.auth import OPERATE, PUBLISH, Principal
from service.transport.auth.principal import matches


def test_scopes_are_required() -> None:
    """
    Without the scope there is no access; to one's own things there is.
    """
    who = Principal(subject="ada", scopes=frozenset({PUBLISH}), until=None)

    who.require(PUBLISH)
    who.require_self_or(OPERATE, "ada")
    who.require_self_or(PUBLISH, "bob")
    who.require_user()
    with pytest.raises(PermissionDeniedError, match="operate"):
        who.require(OPERATE)
    with pytest.raises(PermissionDeniedError):
        who.require_self_or(OPERATE, "bob")


def test_an_operators_account_is_nobodys_user() -> None:
    """
    A user who happens to have the same name is somebody else.
    """
    who = Principal(
        subject="a@x.y", scopes=frozenset({OPERATE}), until=None, is_user=False
    )

    who.require_self_or(OPERATE, "a@x.y")
    with pytest.raises(PermissionDeniedError):
        who.require_self_or(PUBLISH, "a@x.y")
    with pytest.raises(PermissionDeniedError):
        who.require_user()


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("ann", "ann", True),
        ("ann", "anna", False),
        ("*", "", True),
        ("*", "anybody", True),
        ("team-*", "team-", True),
        ("team-*", "team-1", True),
        ("team-*", "my-team-1", False),
        ("*-bot", "a-bot", True),
        ("*-bot", "a-bot-2", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "acb", False),
        ("aa*aa", "aaa", False),
        ("a.n", "ann", False),
        ("a?n", "ann", False),
        ("[a]", "a", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    """
    A star is any text, and nothing else is special.
    """
    assert expected is matches(pattern, name)


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_patterns_are_what_a_regular_expression_says(pattern: str, name: str) -> None:
    """
    The quick way finds what the slow way finds.
    """
    slow = ".*".join(map(re.escape, pattern.split("*")))

    assert bool(re.fullmatch(slow, name)) is matches(pattern, name)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [(None, True), ((), False), (("bob",), False), (("bob", "team-*"), True)],
)
def test_whom_a_publisher_may_publish_to(
    patterns: tuple[str, ...] | None, expected: bool
) -> None:
    """
    Without patterns everybody, with patterns whoever fits one of them.
    """
    who = Principal(
        subject="p", scopes=frozenset({PUBLISH}), until=None, publishes_to=patterns
    )

    assert expected is who.may_publish_to("team-1")
