"""With `--no-skips`, a skipped test or module is a failure.

On a developer's machine a missing browser costs its tests. Where a change is judged,
a test that did not run has proved nothing.
"""

from collections.abc import Generator

import pytest

_OPTION = "--no-skips"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(_OPTION, action="store_true", help="a skip is a failure")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # An expected failure also reports "skipped", but it did run.
    if report.skipped and not hasattr(report, "wasxfail"):
        _refuse(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        _refuse(report, collector.config)
    return report


def _refuse(
    report: pytest.TestReport | pytest.CollectReport, config: pytest.Config
) -> None:
    if config.getoption(_OPTION):
        report.outcome = "failed"
        report.longrepr = f"skipped, and {_OPTION} is given: {_reason(report)}"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else "no reason"
