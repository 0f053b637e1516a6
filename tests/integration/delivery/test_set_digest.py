"""`scripts/set_digest` writes one line of a stack's file, or refuses."""

import pytest

from tests.integration.delivery.empty_project import EmptyProject, project

__all__ = ["project"]
pytestmark = pytest.mark.integration

DIGEST = "sha256:" + "0123456789abcdef" * 4


def test_only_the_digest_s_line_changes(project: EmptyProject) -> None:
    """Comments, order and every other setting stay; a second digest replaces it."""
    before = project.stack_file("prod").read_text()
    first = project.run("prod", "sha256:" + "9" * 64, script="set_digest")
    second = project.run("prod", DIGEST, script="set_digest")
    expected = before.replace('imageDigest: ""', f"imageDigest: {DIGEST}")

    assert (0, 0) == (first.returncode, second.returncode)
    assert f"  event-service:imageDigest: {DIGEST}\n" == second.stdout
    assert expected == project.stack_file("prod").read_text()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), "two arguments"),
        (("dev", DIGEST), "stack: must be staging or prod"),
        (("../prod", DIGEST), "stack: must be staging or prod"),
        (("prod", "latest"), "digest: must be"),
        (("prod", DIGEST.upper()), "digest: must be"),
        (("prod", f"{DIGEST}\nx"), "digest: must be"),
        (("prod", f"{DIGEST}0"), "digest: must be"),
    ],
)
def test_anything_else_is_refused(
    project: EmptyProject, arguments: tuple[str, ...], names: str
) -> None:
    """Bad usage exits with 2 and changes no file."""
    before = project.stack_file("prod").read_bytes()
    done = project.run(*arguments, script="set_digest")

    assert 2 == done.returncode
    assert names in done.stderr
    assert before == project.stack_file("prod").read_bytes()


def test_a_file_without_the_setting_is_not_guessed_at(project: EmptyProject) -> None:
    """A stack's file that lacks the line is refused."""
    project.stack_file("prod").write_text("config: {}\n")
    done = project.run("prod", DIGEST, script="set_digest")

    assert 1 == done.returncode
    assert "must be there once" in done.stderr
