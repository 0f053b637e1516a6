"""The session machine runs its vectors."""

import pytest

from tests.unit.service.core.session_vectors import Play, Script, scripts


@pytest.mark.parametrize("script", list(scripts()), ids=lambda script: script.name)
def test_vector(script: Script) -> None:
    """
    Each step yields exactly the actions that the vector expects.
    """
    play = Play(script)
    for number, step in enumerate(script.steps):
        actual = play.step(step)

        assert step["out"] == actual, f"step {number}"


def test_vectors_are_there() -> None:
    """
    An empty folder does not pass for a green one.
    """
    assert len(list(scripts())) >= 50
