"""Which scenarios a second server leaves to the long size, so that the suite keeps to its time."""

from __future__ import annotations

import pytest

_CHAOS, _CLI, _BENCH, _CLUSTER = "tests/chaos/", "tests/cli/", "tests/bench/", "tests/cluster/"

_SCHEDULES = "tests/schedules/"
_WINDOWS = f"{_CLUSTER}test_windows.py"
_POINTS = f"{_CHAOS}test_fault_points.py"

_BAD_INPUT = {
    # refused before any engine hears of it
    f"{_SCHEDULES}test_calls.py::test_bad_input": (),
    "tests/api/test_waiting_jobs.py::test_bad_input": (),
}
_PARTED = "tests/conformance/test_partitioned.py"
_HISTORY = ("moves_to", "revive_makes", "clean_removes", "find_pages")
"""What looks into the history or writes it."""
POSTGRES: dict[str, tuple[str, ...]] = {
    f"{_CLUSTER}test_clocks.py::test_workers_whose_clock": ("[1]",),
    **_BAD_INPUT,
    _PARTED: _HISTORY,
    "tests/sql/test_partitions.py::test_several_may_convert": (),
    "tests/sql/test_partitions.py::test_one_table_is_left": (),
    "tests/sql/test_partitions.py::test_without_a_retention": (),
    f"{_BENCH}test_growth.py::test_more_processes": (),
    f"{_BENCH}test_bench.py": ("everything", "killed", "two_benchmarks", "cluster_are_refused"),
}
MARIADB: dict[str, tuple[str, ...]] = {
    **_BAD_INPUT,
    f"{_CLI}test_readiness.py::test_migrate_partitions": (),
    _PARTED: _HISTORY,
    "tests/sql/test_partitions.py": ("only_parts", "between", "died"),
    f"{_WINDOWS}::test_a_lost_answer": ("record.after_commit", "receive.after_commit"),
    f"{_WINDOWS}::test_a_worker_that_dies": ("SHIP.before_commit",),
    f"{_WINDOWS}::test_a_saver_that_dies": (),
    f"{_WINDOWS}::test_a_coordinator_that_dies": ("take_back.after_commit",),
    f"{_CLUSTER}test_suspects.py": (),
    f"{_CLUSTER}test_outages.py::test_producers_use_the_other_agent": ("pg-ci",),
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
    f"{_BENCH}test_bench.py": ("everything",),
    f"{_BENCH}test_growth.py": (),
    f"{_CHAOS}test_kills.py::test_a_frozen_worker": (),
    f"{_CHAOS}test_storm.py": (),
    f"{_CLI}test_demo.py::test_what_a_killed_demo_left": (),
    f"{_SCHEDULES}test_kills.py": ("agents-mariadb-plan.after",),
    f"{_SCHEDULES}test_coordinators.py": ("standalone",),
}
SQLITE = {
    f"{_BENCH}test_growth.py::test_more_processes": (),
    f"{_BENCH}test_growth.py::test_full_tables": (),
    f"{_BENCH}test_bench.py": ("interrupted", "as_a_table", "in_use", "foreign", "same_names", "refusals"),
    # One writer at a time: its windows lie elsewhere while it ships and mirrors, and nowhere else.
    f"{_WINDOWS}::test_a_lost_answer": ("record", "SHIP", "mirror", "SAVE"),
    f"{_WINDOWS}::test_a_worker_that_dies": ("record.after_commit", "SHIP", "place.after_commit"),
    f"{_WINDOWS}::test_a_coordinator_that_dies": ("take_back.after_commit",),
    f"{_CLUSTER}test_lanes_and_modes.py": ("changed", "lane_without", "explained"),
    f"{_CLUSTER}test_giving_up.py": ("elsewhere",),
    f"{_CLUSTER}test_suspects.py": (),
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
    f"{_CLUSTER}test_nats_refusals.py": (
        "without_permission",
        "hear_of",
        "other_settings",
        "serve_for_nothing",
    ),
    f"{_CLI}test_nats_agent.py": ("permission", "streams_of_others"),
}
NATS_OLDEST = {
    f"{_CLI}test_nats_agent.py": (),
    f"{_BENCH}test_nats.py": (),
    f"{_CLUSTER}test_nats_wire.py": ("either_way",),
    "tests/conformance/test_nats.py::TestWhatComesLate": (),
    f"{_CLUSTER}test_suspects.py": (),
}
THINNED = {
    "postgres": POSTGRES,
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
