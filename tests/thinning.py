"""Which scenarios a second server leaves to the long size, so that the suite keeps to its time."""

from __future__ import annotations

import pytest

_CHAOS, _CLI, _BENCH = "tests/chaos/", "tests/cli/", "tests/bench/"

THINNED = {
    f"{_CHAOS}test_fault_points.py::test_a_rescuer_that_dies_in_mid_rescue_is_relieved_by_the_next": (),
    f"{_CHAOS}test_fault_points.py::test_a_worker_that_dies_at_any_write_loses_nothing": (
        "settle.written:5",
        "writes.between:1",
    ),
    f"{_CHAOS}test_kills.py::test_a_worker_frozen_past_the_end_of_its_jobs_is_refused": (),
    f"{_CHAOS}test_kills.py::test_twenty_kills_over_twenty_thousand_jobs": (),
    f"{_CHAOS}test_kills.py::test_a_clean_stop_hands_back_without_a_failure": (),
    f"{_CLI}test_demo.py::test_whatever_a_directory_holds": (),
    f"{_CLI}test_reading.py": ("filtered",),
    f"{_CLI}test_run.py": ("sigterm",),
    f"{_CLI}test_refusals.py": ("newer",),
    f"{_BENCH}test_bench.py": ("everything", "two_benchmarks"),
}
"""Files, and single tests in them, that take long or never touch what differs between servers; in brackets,
parts of the names of those that run on MariaDB all the same."""


def thin_out(items: list[pytest.Item]) -> None:
    """Mark as long what MariaDB is to be spared; before the long ones are deselected."""
    for item in items:
        if "[mariadb" in item.name or item.get_closest_marker("mariadb"):
            for beginning, kept in THINNED.items():
                if item.nodeid.startswith(beginning) and not any(part in item.name for part in kept):
                    item.add_marker(pytest.mark.long)
