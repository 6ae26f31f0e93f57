"""Which scenarios a second server leaves to the long size, so that the suite keeps to its time."""

from __future__ import annotations

import pytest

_CHAOS, _CLI, _BENCH, _CLUSTER = "tests/chaos/", "tests/cli/", "tests/bench/", "tests/cluster/"

_SCHEDULES = "tests/schedules/"
_WINDOWS = f"{_CLUSTER}test_windows.py"
_POINTS = f"{_CHAOS}test_fault_points.py"

MARIADB = {
    f"{_WINDOWS}::test_a_lost_answer": ("record.after_commit", "receive.after_commit", "mirror.after_commit"),
    f"{_WINDOWS}::test_a_worker_that_dies": ("SHIP.before_commit",),
    f"{_WINDOWS}::test_a_saver_that_dies": ("mirror.after_commit",),
    f"{_WINDOWS}::test_a_coordinator_that_dies": ("take_back.after_commit",),
    f"{_CLUSTER}test_lanes_and_modes.py": ("changed", "each_mode"),
    f"{_CLUSTER}test_giving_up.py": ("one_call",),
    f"{_CLUSTER}test_draining.py": ("emptied_while",),
    f"{_CLUSTER}test_outages.py::test_producers_turn_away_from_a_frozen_agent": ("pg-ci",),
    f"{_CLUSTER}test_onboarding.py": ("five_coordinators",),
    f"{_CLUSTER}test_away.py": (),
    f"{_POINTS}::test_a_rescuer_that_dies_in_mid_rescue_is_relieved_by_the_next": (),
    f"{_POINTS}::test_a_worker_that_dies_at_any_write_loses_nothing": (
        "settle.written:1",
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
    f"{_CHAOS}test_kills.py::test_a_frozen_worker": (),
    f"{_CHAOS}test_storm.py": (),
    f"{_CLI}test_demo.py::test_what_a_killed_demo_left": (),
    f"{_SCHEDULES}test_kills.py": ("agents-mariadb-plan.after",),
    f"{_SCHEDULES}test_coordinators.py": ("standalone",),
}
SQLITE = {
    # One writer at a time: its windows lie elsewhere while it ships and mirrors, and nowhere else.
    f"{_WINDOWS}::test_a_lost_answer": ("record", "SHIP", "mirror", "SAVE"),
    f"{_WINDOWS}::test_a_worker_that_dies": ("record.after_commit", "SHIP", "place.after_commit"),
    f"{_WINDOWS}::test_a_coordinator_that_dies": ("take_back.after_commit",),
    f"{_CLUSTER}test_lanes_and_modes.py": ("changed", "lane_without", "explained"),
    f"{_CLUSTER}test_giving_up.py": ("elsewhere",),
    f"{_CLUSTER}test_draining.py": ("strand",),
    f"{_CLUSTER}test_onboarding.py": ("far_job",),
    f"{_SCHEDULES}test_kills.py": ("standalone-sqlite-plan.jobs_written", "asks_a_run"),
    f"{_SCHEDULES}test_coordinators.py": ("standalone",),
    f"{_POINTS}::test_a_rescuer_that_dies_in_mid_rescue_is_relieved_by_the_next": (),
    f"{_POINTS}::test_a_worker_that_dies_at_any_write_loses_nothing": (
        "settle.written",
        "mark.after",
        "close_buckets.after",
    ),
    f"{_CHAOS}test_kills.py::test_a_worker_frozen_past_the_end_of_its_jobs_is_refused": (),
    f"{_CHAOS}test_kills.py::test_a_clean_stop_hands_back_without_a_failure": (),
    f"{_CHAOS}test_kills.py::test_a_poison_job": (),
    f"{_CHAOS}test_kills.py::test_twenty_kills": (),
    f"{_CLI}test_refusals.py": ("newer",),
    f"{_CLI}test_demo.py::test_what_a_killed_demo_left": (),
    f"{_SCHEDULES}test_agents.py": ("wait_for_each_other",),
}
NATS = {
    f"{_WINDOWS}::test_a_lost_answer": ("SHIP.after", "receive.after", "settle"),
    f"{_WINDOWS}::test_a_worker_that_dies": ("SHIP.before", "receive.after", "settle"),
    f"{_WINDOWS}::test_a_saver_that_dies": ("SAVE.before",),
    f"{_WINDOWS}::test_a_coordinator_that_dies": ("let_go.after", "take.after"),
    f"{_CLUSTER}test_giving_up.py": (),
    f"{_CLUSTER}test_draining.py": ("emptied_while",),
    f"{_CLUSTER}test_lanes_and_modes.py": ("each_mode", "life_cycle"),
    f"{_CHAOS}test_nats_points.py::test_a_process_that_dies": ("[nats-settle", "[nats-rescue"),
    # Schedules live on the master: only that occurrences get to such an agent and back is of interest.
    f"{_SCHEDULES}test_kills.py": (),
}
# What a server of NATS can and cannot do is met by the conformance suite, on the oldest and on the newest.
OLDEST = {
    f"{_CLUSTER}test_nats.py": ("due_now_and_soon", "restarted_loses"),
}
NATS_OLDEST = {
    f"{_CLI}test_nats_agent.py": (),
    f"{_BENCH}test_nats.py": (),
    f"{_CLUSTER}test_nats_wire.py": ("either_way",),
    "tests/conformance/test_nats.py::TestWhatComesLate": (),
}
THINNED = {
    "mariadb": MARIADB,
    "sqlite": SQLITE,
    "nats": NATS,
    "oldest": OLDEST,
    "nats_oldest": NATS_OLDEST,
}
"""By engine: files, and single tests in them, that take long or never touch what differs between engines; in
brackets, parts of the names of those that run on it all the same."""


def thin_out(items: list[pytest.Item]) -> None:
    """Mark as long what an engine is to be spared; before the long ones are deselected."""
    for item in items:
        for engine, thinned in THINNED.items():
            if f"[{engine}" not in item.name and not item.get_closest_marker(engine):
                continue
            for beginning, kept in thinned.items():
                if item.nodeid.startswith(beginning) and not any(part in item.name for part in kept):
                    item.add_marker(pytest.mark.long)
