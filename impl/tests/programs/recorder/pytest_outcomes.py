"""Plugin of pytest: ``-p pytest_outcomes``."""

import outcomes
import pytest


def pytest_runtest_logstart(nodeid: str) -> None:
    """Note that a test begins."""
    outcomes.write("started", nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what became of it; what goes wrong before or after it, too."""
    if report.when == "call" or report.outcome != "passed":
        expected = hasattr(report, "wasxfail")
        outcomes.write("skipped" if expected else report.outcome, report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note what cannot be imported."""
    if report.outcome == "failed":
        outcomes.write("failed", f"{report.nodeid} (import)")
