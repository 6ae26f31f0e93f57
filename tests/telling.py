"""Tells of a failure when it happens: a run that is cut short has said what failed."""

from __future__ import annotations

import pytest

__all__ = ["tell_at_once"]


class _Teller:
    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write a line for what failed."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = str(report.longrepr if crash is None else crash.message).strip().partition("\n")[0]
            self._reporter.ensure_newline()
            self._reporter.write_line(
                f"{report.nodeid}: {report.when} failed after {report.duration:.1f} s: {reason[:200]}"
            )


def tell_at_once(config: pytest.Config) -> None:
    """Do so in the process that reports."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Teller(reporter))
