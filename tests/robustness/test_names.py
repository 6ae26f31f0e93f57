"""Names with quotes, semicolons and backslashes are refused, or bound as values: no SQL is made of them."""

from __future__ import annotations

import pytest

from jobmaster import Cluster, ClusterConfig, ConfigurationError, JobMasterError, JobRequest, JobStatus
from jobmaster.errors import DuplicateJob
from tests.robustness.conftest import Echo

HOSTILE = [
    "'; DROP TABLE jm_job; --",
    'x" OR "1"="1',
    "a`b",
    "back\\slash",
    "a;b",
    "a b",
    "%s",
    "$$",
    "a.b",
    "a>b*",
    "x" * 70,
    "",
    "ä",
    "a\n",
    "a\0",
    "\ud800",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_that_stand_in_statements_and_subjects_are_refused(name: str) -> None:
    attempts = [
        lambda: ClusterConfig(name).use_sqlite("x.db"),
        lambda: ClusterConfig("c").use_sqlite("x.db", table_prefix=name),
        lambda: ClusterConfig("c").use_postgres("postgresql://u@h/d", schema=name),
        lambda: ClusterConfig("c").use_sqlite("x.db").add_worker(lane=name),
        lambda: ClusterConfig("c").use_sqlite("x.db").add_worker(name=name),
        lambda: ClusterConfig("c").use_sqlite_for_master("x.db").add_agent_connection(name, "y.db"),
    ]
    for number, make in enumerate(attempts):
        with pytest.raises(ConfigurationError) as caught:
            make().build()
        assert str(caught.value), number


@pytest.mark.parametrize("name", [name for name in HOSTILE if name], ids=ascii)
def test_no_call_takes_a_lane_or_an_agent_that_is_no_name(tmp_path: object, name: str) -> None:
    cluster = ClusterConfig("c").add_handlers(Echo).use_sqlite(f"{tmp_path}/x.db").build()
    try:
        for options in ({"lane": name}, {"agent_connection": name}):
            with pytest.raises((JobMasterError, ValueError)):
                cluster.scheduler.once_now(Echo, {}, **options)
        with pytest.raises((JobMasterError, ValueError)):
            cluster.scheduler.count_jobs(lane=name)
    finally:
        cluster.close()


KEYS = [
    "'; DROP TABLE jm_job; --",
    "' OR ''='",
    'a"b`c',
    "back\\slash\\'",
    "%s %(x)s :x ? $1 {0}",
    "$$ || $x$",
    "ends with a blank ",
    "Case",
    "case",
    "café",
    "cafe\u0301",
    "😀" * 100,
]


def test_keys_are_bound_and_told_apart_to_the_byte(cluster: Cluster) -> None:
    scheduler = cluster.scheduler
    requests = [
        JobRequest(Echo, {"key": key}, unique_key=key, delay=3600, metadata={"key": key, f"m{key}": 1})
        for key in KEYS
    ]
    ids = scheduler.once_many(requests, returning="ids")
    assert len(set(ids)) == len(KEYS)
    for key, job_id in zip(KEYS, ids, strict=True):
        assert scheduler.get_job(job_id).unique_key == key
        with pytest.raises(DuplicateJob) as caught:
            scheduler.once_after(Echo, 3600, {}, unique_key=key, on_conflict="raise")
        assert caught.value.job_id == job_id
        assert [job.id for job in scheduler.find_jobs(metadata={"key": key})] == [job_id]
        assert [job.id for job in scheduler.find_jobs(metadata={f"m{key}": 1})] == [job_id]
    assert scheduler.count_jobs() == len(KEYS)
    scheduler.cancel_job(ids[0])
    assert scheduler.get_job(ids[0]).status is JobStatus.CANCELLED


def test_ids_of_schedules_are_bound(cluster: Cluster) -> None:
    scheduler = cluster.scheduler
    wanted = [key for key in KEYS if key == key.strip()]
    for key in wanted:
        scheduler.recurring(Echo, "0 0 1 1 *", id=key)
    assert {schedule.id for schedule in scheduler.find_schedules(limit=100)} == set(wanted)
    for key in wanted:
        assert scheduler.get_schedule(key).id == key
        scheduler.cancel_recurring(key)
