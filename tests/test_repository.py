"""The repository's promises about itself: what no other check holds."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from service.contract import CloseCode, Env, LogEvent, LogField, Metric
from service.core.delivery import Outcome, State
from service.errors import ServiceError

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

_LONGEST_FILE = 500
_EXISTING = ("--cached", "--others", "--exclude-standard")
_VAGUE_NAMES = {"manager", "helper", "util", "common"}
# Written in pieces, or this file would break its own promise.
_FORBIDDEN = ["/" + place + "/" for place in ("root", "home", "Users", "var/tmp")] + [
    host + end
    for host, end in (
        ("pypi", ".org"),
        ("files.python", "hosted"),
        ("registry.npm", "js"),
        ("deb.debian", ".org"),
        ("docker", ".io/"),
    )
]


def _tracked(*patterns: str) -> list[Path]:
    """Files that are, or are about to be, part of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *_EXISTING, "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = {ROOT / name for name in listed.stdout.split("\0") if name}
    return sorted(path for path in paths if path.is_file())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _all_docs() -> str:
    return "\n".join(_text(path) for path in _tracked("docs/*.md", "README.md"))


def _undocumented(words: set[str]) -> set[str]:
    docs = _all_docs()
    return {word for word in words if not re.search(rf"\b{re.escape(word)}\b", docs)}


def test_no_file_is_too_long_to_read() -> None:
    """A source file that passes the limit is split by idea first."""
    lines = {path: _text(path).count("\n") for path in _tracked("*.py", "*.js")}

    assert {} == {path: n for path, n in lines.items() if n > _LONGEST_FILE}


def test_no_module_is_named_vaguely() -> None:
    """A module's name says what is in it."""
    words = {path: set(path.stem.rstrip("s").split("_")) for path in _tracked("*.py")}

    assert [] == [path for path, found in words.items() if found & _VAGUE_NAMES]


def test_no_file_names_a_machine_or_a_registry() -> None:
    """What is written here holds on any machine, through any registry."""
    binary = {".ico", ".png", ".woff2"}
    found = [
        (str(path.relative_to(ROOT)), word)
        for path in _tracked()
        if path.suffix not in binary
        for word in _FORBIDDEN
        if word in _text(path)
    ]

    assert [] == found


def test_every_metric_is_documented() -> None:
    """Whoever sees a metric's name finds out what it counts."""
    assert set() == _undocumented(set(Metric))


def test_every_environment_variable_is_documented() -> None:
    """Whoever runs the service finds every setting."""
    assert set() == _undocumented(set(Env))


def _codes(error: type[ServiceError]) -> set[str]:
    return {error.code}.union(*(_codes(child) for child in error.__subclasses__()))


def test_every_error_code_is_documented() -> None:
    """Whoever gets an error's code finds out what it means."""
    assert set() == _undocumented(_codes(ServiceError))


def test_close_codes_are_the_same_in_protocol_and_contract() -> None:
    """The table of the protocol has exactly the codes that the service sends."""
    table = re.findall(r"^\| (4\d{3}) \|", _text(DOCS / "protocol.md"), re.MULTILINE)

    assert sorted(CloseCode) == sorted(map(int, table))


def test_close_codes_are_the_same_in_browser_and_contract() -> None:
    """The browser's client names no code that does not exist, and misses none."""
    bounds = {4000, 4099, 4100, 4999}
    source = "\n".join(_text(path) for path in _tracked("service/web/client/*.js"))
    found = {int(code) for code in re.findall(r"\b4\d{3}\b", source)}

    assert set(CloseCode) == found - bounds


def test_outcomes_are_the_same_everywhere() -> None:
    """Python, SQL and the protocol know the same outcomes."""
    migrations = _tracked("service/adapters/migrations/*.sql")
    sql = "\n".join(_text(path) for path in migrations)
    in_sql = re.findall(r"\boutcome IN \(([^)]*)\)", sql)[-1]
    in_protocol = re.search(r"outcome` \(([^)]*)\)", _text(DOCS / "protocol.md"))

    assert set(Outcome) == set(re.findall(r"'(\w+)'", in_sql))
    assert in_protocol is not None
    assert set(Outcome) == set(re.findall(r"`(\w+)`", in_protocol[1]))


def test_states_are_words_of_the_glossary() -> None:
    """A state is an outcome or one of the two open states; all are explained."""
    glossary = _text(DOCS / "glossary.md")

    assert {"accepted", "dispatched"} == set(State) - set(Outcome)
    assert [] == [state for state in State if not re.search(rf"\b{state}\b", glossary)]


def _queries() -> list[tuple[str, str]]:
    """Return each query's name and the line after it."""
    folder = ROOT / "service" / "adapters" / "queries"
    text = "\n".join(map(_text, sorted(folder.glob("*.sql"))))
    return re.findall(r"^-- (\w+) --\n(.*)$", text, re.MULTILINE)


def test_every_query_has_a_purpose_and_a_use() -> None:
    """A query is named, says what it is for, and is called by that name."""
    callers = "\n".join(_text(path) for path in _tracked("service/adapters/*.py"))
    names = [name for name, _ in _queries()]

    assert names
    assert len(names) == len(set(names))
    assert [] == [name for name, line in _queries() if not line.startswith("-- ")]
    assert [] == [name for name in names if not re.search(rf"\b{name}\b", callers)]


def _keys(stack: str) -> set[str]:
    text = _text(ROOT / f"Pulumi.{stack}.yaml")
    return set(re.findall(r"^  ([\w-]+:\w+):", text, re.MULTILINE))


def test_both_stacks_have_the_same_keys() -> None:
    """What one environment decides, the other decides too, and all of it is typed."""
    project = re.findall(r"^  (\w+):\n    type:", _text(ROOT / "Pulumi.yaml"), re.M)

    assert _keys("staging") == _keys("prod")
    assert {f"event-service:{key}" for key in project} == {
        key for key in _keys("prod") if key.startswith("event-service:")
    }


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_is_hashed_and_names_no_place(lock: Path) -> None:
    """A lock says what is installed, byte for byte, and not from where."""
    text = _text(lock)
    packages = re.split(r"\n(?=[a-zA-Z])", text)[1:]

    assert [] == re.findall(r"\S*(?:://|--index|--find-links)\S*", text)
    assert packages
    assert [] == [one for one in packages if "--hash=sha256:" not in one]


def _wanted(lock: str) -> set[str]:
    project = tomllib.loads(_text(ROOT / "pyproject.toml"))
    wanted = list(project["project"]["dependencies"])
    if lock != "service":
        wanted += project["project"]["optional-dependencies"]["embedded"]
    if lock == "dev":
        groups = project["dependency-groups"].values()
        wanted += [one for group in groups for one in group if isinstance(one, str)]
    return {re.split(r"[\[<>=; ]", one, maxsplit=1)[0].lower() for one in wanted}


@pytest.mark.parametrize("lock", ["service", "run", "dev"])
def test_every_dependency_is_locked(lock: str) -> None:
    """What the project asks for is in the lock that is installed for it."""
    text = _text(ROOT / "requirements" / f"{lock}.txt")
    locked = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))

    assert set() == _wanted(lock) - locked


def test_image_has_no_embedded_database() -> None:
    """The lock of the image leaves out the wheel that holds PostgreSQL."""
    assert "pixeltable" not in _text(ROOT / "requirements" / "service.txt")


def test_decisions_are_written_down_in_one_form() -> None:
    """A decision has a status, a context and consequences, on less than a page."""
    wanted = ["Status", "Context", "Decision", "Consequences"]
    for path in _tracked("docs/adr/[0-9]*.md"):
        text = _text(path)

        assert wanted == re.findall(r"^## (\w+)", text, re.MULTILINE), path
        assert text.count("\n") <= 80, path


def test_links_lead_somewhere() -> None:
    """A relative link in a document names a file that exists."""
    broken = [
        (path.name, target)
        for path in _tracked("*.md")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", _text(path))
        if "://" not in target and not (path.parent / target).exists()
    ]

    assert [] == broken


def test_changelog_is_kept() -> None:
    """CHANGELOG.md has the shape of Keep a Changelog and starts with what is new."""
    text = _text(ROOT / "CHANGELOG.md")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))

    assert text.startswith("# Changelog\n")
    assert "[Unreleased]" == versions[0]
    assert all(
        re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", one)
        for one in versions[1:]
    )
    assert kinds <= {"Security", "Removed", "Deprecated", "Added", "Changed", "Fixed"}


def test_every_name_of_the_contract_is_emitted() -> None:
    """A metric or log event that nobody emits is an alert that watches nothing."""
    used = "\n".join(
        _text(path)
        for path in _tracked("*.py")
        if path.is_relative_to(ROOT / "service")
    )
    names = [*LogEvent, *LogField, *Metric]
    words = {one: {type(one).__name__, "Name"} for one in names}

    assert [] == [
        one for one in names if not any(f"{w}.{one.name}" in used for w in words[one])
    ]
