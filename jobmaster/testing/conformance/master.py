"""The contract of ``MasterStore`` as tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from ...domain.ids import uuid7
from ...domain.job import JobFilter
from ...domain.status import JobStatus, WorkerMode
from ...ports import RunningMark, WorkerInfo
from .stores import Stores, ended, new_job

__all__ = ["MasterStoreConformance"]

MINUTE = timedelta(minutes=1)


class MasterStoreConformance:
    """Needs a fixture ``stores``."""

    # --- jobs ---------------------------------------------------------------------------------------

    def test_get_job_knows_live_and_finished_ones(self, stores: Stores) -> None:
        (done,) = ended(stores)
        (waiting,) = stores.enqueue()
        assert stores.job(done).status is JobStatus.SUCCEEDED
        assert stores.job(waiting).status is JobStatus.READY
        assert stores.job(waiting).agent_connection == stores.transport.name
        assert stores.master.get_job(uuid7()) is None

    def test_finished_names_those_that_ended(self, stores: Stores) -> None:
        done = ended(stores, 3)
        waiting = stores.enqueue(2)
        assert stores.master.finished([*done, *waiting, uuid7()]) == set(done)
        assert stores.master.finished([]) == frozenset()

    def test_find_pages_through_live_and_finished_jobs(self, stores: Stores) -> None:
        ids = [*ended(stores, 4), *stores.enqueue(3), *ended(stores, 2)]
        newest_first = sorted(ids, reverse=True)
        found: list[UUID] = []
        after: UUID | None = None
        while page := stores.master.find_jobs(JobFilter(), 2, after):
            assert len(page) <= 2
            found += [job.id for job in page]
            after = page[-1].id
        assert found == newest_first

    def test_filters_narrow_what_is_found_and_counted(self, stores: Stores) -> None:
        now = stores.transport.now()
        (done,) = ended(stores, definition_id="a", lane="x", run_at=now - 2 * MINUTE)
        (wait,) = stores.enqueue(definition_id="b", run_at=now + MINUTE, schedule_id="s")
        (due,) = stores.enqueue(definition_id="a", run_at=now)
        cases: list[tuple[JobFilter, set[UUID]]] = [
            (JobFilter(), {done, wait, due}),
            (JobFilter(definition_id="a"), {done, due}),
            (JobFilter(lane="x"), {done}),
            (JobFilter(schedule_id="s"), {wait}),
            (JobFilter(scheduled_from=now + MINUTE), {wait}),
            (JobFilter(scheduled_from=now, scheduled_to=now + MINUTE), {due}),
            (JobFilter(scheduled_to=now), {done}),
            (JobFilter(status=(JobStatus.READY,)), {wait, due}),
            (JobFilter(status=(JobStatus.READY, JobStatus.SUCCEEDED)), {done, wait, due}),
            (JobFilter(status=(JobStatus.FAILED, JobStatus.CANCELLED)), set()),
            (JobFilter(status=(JobStatus.READY,), definition_id="a"), {due}),
            (JobFilter(definition_id="A"), set()),
        ]
        for criteria, expected in cases:
            found = {job.id for job in stores.master.find_jobs(criteria, 100, None)}
            assert found == expected, criteria
            assert stores.master.count_jobs(criteria) == len(expected), criteria

    def test_every_status_can_be_looked_for(self, stores: Stores) -> None:
        holder = stores.holder()
        by_status: dict[JobStatus, UUID] = {}
        for status in (
            JobStatus.SUCCEEDED,
            JobStatus.FAILED,
            JobStatus.CANCELLED,
            JobStatus.RETRYING,
            JobStatus.PROCESSING,
            JobStatus.ASSIGNED_TO_BUCKET,
            JobStatus.READY,
        ):
            (job_id,) = stores.enqueue()
            by_status[status] = job_id
            if status is JobStatus.READY:
                continue
            if status is JobStatus.CANCELLED:
                stores.settlement.cancel(job_id, "")
                continue
            (claimed,) = holder.claim()
            if status is JobStatus.SUCCEEDED:
                holder.settle(holder.succeeded(claimed))
            elif status is JobStatus.FAILED:
                holder.settle(holder.failed(claimed))
            elif status is JobStatus.RETRYING:
                holder.settle(holder.failed(claimed, MINUTE))
            elif status is JobStatus.PROCESSING:
                now = stores.transport.now()
                stores.transport.mark([RunningMark(job_id, claimed.bucket_id, claimed.claim_no, now)])
        for status, job_id in by_status.items():
            (found,) = stores.master.find_jobs(JobFilter(status=(status,)), 100, None)
            assert found.id == job_id, status
            assert found.status is status
            assert stores.master.count_jobs(JobFilter(status=(status,))) == 1
        assert stores.master.count_jobs(JobFilter()) == len(by_status)

    def test_metadata_is_compared_as_json(self, stores: Stores) -> None:
        values: dict[str, str] = {
            "true": '{"k": true, "other": 1}',
            "one": '{"k": 1}',
            "text": '{"k": "1"}',
            "null": '{"k": null}',
            "list": '{"k": [1, {"a": 2, "b": 3}]}',
            "quote": '{"it\'s %s": "☃"}',
            "none": "{}",
        }
        ids = {name: stores.enqueue(metadata=text)[0] for name, text in values.items()}
        stores.enqueue()
        questions: list[tuple[dict[str, Any], set[str]]] = [
            ({"k": True}, {"true"}),
            ({"k": True, "other": 1}, {"true"}),
            ({"k": True, "other": 2}, set()),
            ({"k": 1}, {"one"}),
            ({"k": "1"}, {"text"}),
            ({"k": None}, {"null"}),
            ({"k": [1, {"b": 3, "a": 2}]}, {"list"}),
            ({"k": [1]}, set()),
            ({"it's %s": "☃"}, {"quote"}),
            ({"absent": 1}, set()),
        ]
        for asked, expected in questions:
            found = {job.id for job in stores.master.find_jobs(JobFilter(metadata=asked), 100, None)}
            assert found == {ids[name] for name in expected}, asked
            assert stores.master.count_jobs(JobFilter(metadata=asked)) == len(expected)

    def test_depths_count_live_jobs(self, stores: Stores) -> None:
        ended(stores)
        now = stores.transport.now()
        stores.transport.enqueue([new_job(run_at=now - MINUTE), new_job(run_at=now), new_job(lane="x")])
        stores.holder().claim(1)
        depths = {(d.lane, d.priority, d.status): d for d in stores.master.depths()}
        assert {key: depth.jobs for key, depth in depths.items()} == {
            ("default", 3, JobStatus.ASSIGNED_TO_BUCKET): 1,
            ("default", 3, JobStatus.READY): 1,
            ("x", 3, JobStatus.READY): 1,
        }
        assert depths["default", 3, JobStatus.READY].oldest_due_at == now
        assert depths["x", 3, JobStatus.READY].agent_connection == stores.transport.name

    def test_attempts_of_an_unknown_job_are_none(self, stores: Stores) -> None:
        assert stores.master.attempts(uuid7()) == []

    # --- workers ------------------------------------------------------------------------------------

    def _worker(self, stores: Stores, name: str = "w") -> WorkerInfo:
        now = stores.master.now()
        return WorkerInfo(
            uuid7(), name, stores.transport.name, "lane", WorkerMode.FULL, "host", 4711, now, now, 20
        )

    def test_workers_come_and_go(self, stores: Stores) -> None:
        first, second = self._worker(stores, "first"), self._worker(stores, "second")
        stores.master.register_worker(first, MINUTE)
        stores.master.register_worker(second, MINUTE)
        shown = stores.master.workers()
        assert [worker.name for worker in shown] == ["first", "second"]
        assert shown[0].id == first.id
        assert shown[0].alive
        assert (shown[0].host, shown[0].pid, shown[0].slots, shown[0].mode) == (
            "host",
            4711,
            20,
            WorkerMode.FULL,
        )
        assert shown[0].seen_at >= first.seen_at
        stores.master.forget_worker(first.id)
        assert [worker.name for worker in stores.master.workers()] == ["second"]

    def test_a_worker_not_seen_again_is_not_alive(self, stores: Stores) -> None:
        worker = self._worker(stores)
        stores.master.register_worker(worker, MINUTE)
        assert stores.master.see_worker(worker.id, ["unknown-1", "ünknown-2"], MINUTE)
        (shown,) = stores.master.workers()
        assert shown.alive
        assert shown.unknown_definitions == ("unknown-1", "ünknown-2")
        stores.master.see_worker(worker.id, [], timedelta(0))
        (shown,) = stores.master.workers()
        assert not shown.alive
        assert shown.unknown_definitions == ()
        assert not stores.master.see_worker(uuid7(), [], MINUTE)

    def test_a_registered_worker_is_alive_for_as_long_as_it_said(self, stores: Stores) -> None:
        brief, long = self._worker(stores, "brief"), self._worker(stores, "long")
        stores.master.register_worker(brief, timedelta(0))
        stores.master.register_worker(long, timedelta(days=1))
        assert {worker.name: worker.alive for worker in stores.master.workers()} == {
            "brief": False,
            "long": True,
        }

    def test_a_worker_dead_for_a_day_is_forgotten(self, stores: Stores) -> None:
        worker = self._worker(stores)
        stores.master.register_worker(worker, MINUTE)
        stores.master.see_worker(worker.id, [], timedelta(hours=-25))
        assert stores.master.workers() == []

    def test_registering_again_is_no_second_worker(self, stores: Stores) -> None:
        worker = self._worker(stores)
        stores.master.register_worker(worker, MINUTE)
        stores.master.register_worker(worker, MINUTE)
        assert len(stores.master.workers()) == 1

    # --- settings -----------------------------------------------------------------------------------

    def test_declared_settings_report_their_changes(self, stores: Stores) -> None:
        master = stores.master
        assert master.settings() == {}
        assert sorted(master.declare_settings({"mode": "active", "n": 3})) == [
            ("mode", None, "active"),
            ("n", None, 3),
        ]
        assert master.declare_settings({"mode": "active"}) == []
        assert master.declare_settings({"mode": "passive"}) == [("mode", "active", "passive")]
        settings = master.settings()
        assert {name: setting.value for name, setting in settings.items()} == {"mode": "passive", "n": 3}
        assert settings["mode"].version > settings["n"].version
        assert not settings["mode"].pinned

    def test_a_pinned_setting_survives_what_code_declares(self, stores: Stores) -> None:
        master = stores.master
        master.declare_settings({"mode": "active"})
        before = master.settings()["mode"].version
        master.pin_setting("mode", "archived")
        assert master.settings()["mode"].pinned
        assert master.settings()["mode"].version > before
        assert master.declare_settings({"mode": "active"}) == []
        assert master.settings()["mode"].value == "archived"
        master.unpin_setting("mode")
        assert master.settings()["mode"].value == "archived"
        assert master.declare_settings({"mode": "active"}) == [("mode", "archived", "active")]

    def test_what_was_never_declared_can_be_pinned(self, stores: Stores) -> None:
        stores.master.pin_setting("limit", {"a": [1, None]})
        assert stores.master.settings()["limit"].value == {"a": [1, None]}
        stores.master.unpin_setting("absent")
        assert set(stores.master.settings()) == {"limit"}
