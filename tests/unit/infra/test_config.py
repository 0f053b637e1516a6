"""`infra.config`: a stack's settings are valid as a whole, or every fault is named."""

from pathlib import Path

import pytest
import yaml

from infra.config import (
    PLACEHOLDER,
    ROOT,
    STACKS,
    engine_stack,
    load_stack,
    read_settings,
    stack_settings,
)
from infra.errors import ConfigError, UnfilledError
from tests.fixtures.stacks import IMAGE, SIDECAR, filled_config, filled_settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a copy of the real stack files."""
    for stack in STACKS:
        name = f"Pulumi.{stack}.yaml"
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def _set(root: Path, key: str, value: str, *, stack: str = "staging") -> None:
    path = root / f"Pulumi.{stack}.yaml"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(f"  {key}:")]
    path.write_text("\n".join([*kept, f"  {key}: {value}"]) + "\n")


@pytest.mark.parametrize("stack", STACKS)
def test_real_stacks_are_valid(stack: str) -> None:
    """The stack files of this repository keep every rule."""
    config = load_stack(stack)

    assert (stack, 1, 10, 600) == (
        config.environment,
        config.min_instances,
        config.max_instances,
        config.timeout_seconds,
    )


def test_only_prod_is_protected() -> None:
    """Prod refuses deletion and lives in two zones; staging can be thrown away."""
    staging, prod = (load_stack(stack) for stack in STACKS)

    assert (False, "ZONAL") == (
        staging.deletion_protection,
        staging.database_availability,
    )
    assert (True, "REGIONAL") == (prod.deletion_protection, prod.database_availability)


def test_both_stacks_and_the_project_file_have_the_same_keys() -> None:
    """A setting is decided for both stacks, and described once."""
    described = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    wanted = {f"event-service:{name}" for name in described}

    assert all(text["description"] and text["type"] for text in described.values())
    for stack in STACKS:
        own = {key for key in stack_settings(stack) if not key.startswith("gcp:")}
        assert wanted == own


def test_the_project_file_types_what_the_stacks_say() -> None:
    """The engine checks the same types: no value is of another one."""
    described = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    kinds = {
        "string": str,
        "integer": int,
        "boolean": bool,
        "array": list,
        "object": dict,
    }

    for stack in STACKS:
        document = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
        for name, described_as in described.items():
            value = document["config"][f"event-service:{name}"]
            assert type(value) is kinds[described_as["type"]], name


def test_says_what_is_still_missing() -> None:
    """Placeholders and empty digests are valid, but reported."""
    before = load_stack("prod").missing
    without_images = filled_config("prod", imageDigest="", sidecarDigest="").missing
    after = filled_config("prod").missing

    assert {"gcp:project", "event-service:domain", "event-service:pagingChannel"} < set(
        before
    )
    assert ("event-service:imageDigest", "event-service:sidecarDigest") == (
        without_images
    )
    assert () == after


@pytest.mark.parametrize(
    ("image", "sidecar", "serves"),
    [(IMAGE, SIDECAR, True), (IMAGE, "", False), ("", SIDECAR, False), ("", "", False)],
)
def test_serves_with_both_images_only(image: str, sidecar: str, serves: bool) -> None:
    """A service without its metrics would be judged by nothing."""
    config = filled_config("staging", imageDigest=image, sidecarDigest=sidecar)

    assert serves is config.serves


@pytest.mark.parametrize("stack", ["dev", "Prod", "", "staging-2", "organization/prod"])
def test_a_stack_of_another_name_is_refused(stack: str) -> None:
    """The name is the environment, so a third one has no rules."""
    with pytest.raises(ConfigError) as caught:
        read_settings(stack, filled_settings("staging"), source="stack")

    assert f"stack: found {stack!r}; allowed: staging or prod" in str(caught.value)


def test_two_stacks_in_one_project_are_refused(root: Path) -> None:
    """Names carry no environment, so prod's service would replace staging's."""
    _set(root, "gcp:project", "acme-events")
    _set(root, "gcp:project", "acme-events", stack="prod")

    for stack in STACKS:
        with pytest.raises(ConfigError, match=r"gcp:project: found 'acme-events'"):
            load_stack(stack, root=root)


def test_the_engine_may_not_bring_the_other_stacks_project(root: Path) -> None:
    """Also with settings from elsewhere: prod's file is looked at."""
    _set(root, "gcp:project", "acme-events", stack="prod")
    values = filled_settings("staging", project="acme-events")

    with pytest.raises(ConfigError, match=r"Pulumi\.prod\.yaml has this one"):
        engine_stack("staging", values, root=root)


def test_two_placeholders_are_not_one_project(root: Path) -> None:
    """Nothing is made of a placeholder, so both files may hold it."""
    projects = {load_stack(stack, root=root).project for stack in STACKS}

    assert {PLACEHOLDER} == projects


def test_the_engine_is_refused_a_placeholder() -> None:
    """`pulumi up` names all that only a person can decide, and makes nothing."""
    values = filled_settings("prod", project=PLACEHOLDER, domain=PLACEHOLDER)

    with pytest.raises(UnfilledError) as caught:
        engine_stack("prod", values)

    assert ("event-service:domain", "gcp:project") == caught.value.keys


def test_the_engine_gets_what_the_file_says() -> None:
    """Text by key, and JSON for lists and objects, is what the engine passes."""
    values = stack_settings("staging")

    assert ("600", "false", '{"authSecret": 1}', "[]") == tuple(
        values[f"event-service:{name}"]
        for name in ("timeoutSeconds", "cache", "secretVersions", "allowedOrigins")
    )


def test_other_namespaces_are_the_engines_own() -> None:
    """What configures the provider is no setting of this program."""
    values = filled_settings("staging") | {"gcp:skipRegionValidation": "true"}

    assert filled_config("staging") == read_settings("staging", values, source="x")


@pytest.mark.parametrize("text", ["", "config: 5", "- a", "config: [", "\x00"])
def test_what_is_no_stack_file_is_refused(root: Path, text: str) -> None:
    """A file of another shape is a fault of the file, not a crash."""
    (root / "Pulumi.staging.yaml").write_text(text)

    with pytest.raises(ConfigError, match=r"Pulumi\.staging\.yaml:\n  file: found"):
        load_stack("staging", root=root)


def test_absent_file_is_named(tmp_path: Path) -> None:
    """A stack without a file is a fault that names the file."""
    with pytest.raises(ConfigError, match=r"Pulumi\.staging\.yaml"):
        load_stack("staging", root=tmp_path)
