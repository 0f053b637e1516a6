"""The scenarios of the rules: written down in scenarios.yaml, read and checked."""

import re
from collections.abc import Mapping
from pathlib import Path

from ops.slo.model import Objectives, Rule
from ops.slo.promql import series
from ops.slo.scenario import Scenario
from ops.slo.sections import Section, read, seconds_of

SCENARIOS = Path(__file__).with_name("scenarios.yaml")
_ANY = re.compile(r".+")
_DURATION = re.compile(r"[1-9][0-9]*[smhd]")


def rule_scenarios(
    objectives: Objectives, path: Path = SCENARIOS
) -> tuple[Scenario, ...]:
    """Return what the rules must do, from a file that names every rule.

    :raises ObjectivesError: it breaks rules, or a rule has no scenarios.
    """
    return read(path, lambda file: _all(file, objectives))


def _all(file: Section, objectives: Objectives) -> tuple[Scenario, ...]:
    rules = {rule.name: rule for rule in objectives.rules}
    file.close(rules)
    return tuple(
        _scenario(rule, section)
        for name, rule in rules.items()
        for section in file.sections(name)
    )


def _scenario(rule: Rule, section: Section) -> Scenario:
    section.close(("title", "step", "series", "fires", "silent"))
    expected = dict.fromkeys(_times(section, "fires"), True)
    expected |= dict.fromkeys(_times(section, "silent"), False)
    if not expected:
        section.note("fires", None, "times like 10m; or `silent`")
    return Scenario(
        alert=rule.name,
        title=section.text("title"),
        step_seconds=section.seconds("step", default=60),
        series=tuple(_series(rule, one) for one in section.sections("series", least=0)),
        expected=tuple(sorted(expected.items())),
    )


def _series(rule: Rule, section: Section) -> tuple[str, str]:
    section.close(("of", "values", "labels"))
    of = section.choice("of", tuple(rule.selectors))
    written = series(rule.selectors[of], _labels(section)) if of else ""
    return written, section.text("values")


def _labels(section: Section) -> Mapping[str, str]:
    if not section.has("labels"):
        return {}
    labels = section.section("labels")
    return {name: labels.matching(name, _ANY, "text") for name in labels.names()}


def _times(section: Section, key: str) -> tuple[int, ...]:
    if not section.has(key):
        return ()
    found = section.words(key, _DURATION, "durations like 10m")
    return tuple(seconds_of(one) for one in found)
