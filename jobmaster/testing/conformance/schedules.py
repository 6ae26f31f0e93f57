"""What every ``ScheduleStore`` must do."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial

import pytest

from ...domain.schedule import (
    WAITS_ITS_TURN,
    MisfirePolicy,
    OverlapPolicy,
    ScheduleRecord,
    ScheduleStatus,
)
from ...domain.status import Priority
from ...errors import ConflictError
from ...ports import PLANNERS, Decision, Runs
from .scheduleupkeep import ScheduleUpkeepConformance
from .timetable import Timetable

__all__ = ["ScheduleStoreConformance"]

_MINUTE = timedelta(minutes=1)


def _decided(decision: Decision, _found: ScheduleRecord | None, _now: datetime, _runs: Runs) -> Decision:
    return decision


class ScheduleStoreConformance(ScheduleUpkeepConformance):
    """Subclass it and give the fixture ``timetable``."""

    def test_a_schedule_reads_back_as_it_was_written(self, timetable: Timetable) -> None:
        instant = timetable.now + timedelta(microseconds=123456)
        record = timetable.put(
            "whole",
            time_zone="Europe/Paris",
            data='{"text":"ünïcödé 😀"}',
            metadata='{"a":1}',
            lane="other",
            priority=Priority.HIGH,
            timeout=timedelta(milliseconds=1500),
            max_retries=7,
            retry='["none", 0.0, 0.0, 2.0, false]',
            agent="north",
            start_after=instant,
            end_before=instant + timedelta(days=3),
            excluded_dates=(date(2026, 12, 25), date(2027, 1, 1)),
            misfire=MisfirePolicy.FIRE_ALL,
            misfire_grace=timedelta(seconds=1.5),
            misfire_cap=3,
            catchup_window=timedelta(hours=2),
            overlap=OverlapPolicy.BUFFER_ALL,
            buffer_limit=5,
            jitter=timedelta(seconds=10),
            profile_id="profile",
            anchor=instant,
            version=4,
            next_run_at=instant,
            due_at=instant + _MINUTE,
            last_run_at=instant - _MINUTE,
            skipped=5,
            missed=2**40,
            missed_from=instant - 3 * _MINUTE,
            missed_to=instant - 2 * _MINUTE,
            failures=2,
            error="an error",
            zone_data="2026a",
        )
        assert timetable.get("whole") == record
        plain = timetable.put("plain")
        assert timetable.get("plain") == plain
        assert timetable.schedules.get("Whole") is None

    def test_the_look_tells_what_is_due_first(self, timetable: Timetable) -> None:
        store = timetable.schedules
        assert store.look()[1] is None
        first = timetable.put("first", due_at=timetable.now - timedelta(hours=1))
        timetable.put("second")
        timetable.put("paused", due_at=None, status=ScheduleStatus.PAUSED)
        now, due = store.look()
        assert due == first.due_at
        assert abs(now - timetable.stores.master.now()) < _MINUTE

    def test_planning_writes_job_and_cursor_together(self, timetable: Timetable) -> None:
        record = timetable.put()
        at = record.next_run_at
        assert at is not None
        job = timetable.job(record, at, metadata='{"a":1}', timeout=timedelta(seconds=5), max_retries=1)

        def decide(found: ScheduleRecord, now: datetime, runs: Runs) -> Decision:
            assert found == record
            assert runs == Runs(0, 0)
            return Decision(
                replace(found, cursor_at=now, next_run_at=now + _MINUTE, due_at=now + _MINUTE), [job]
            )

        planned = timetable.schedules.plan(decide, 10)
        assert (planned.schedules, planned.jobs, planned.more, planned.cancel) == (1, 1, False, ())
        moved = timetable.get()
        assert moved.cursor_at == planned.now
        assert moved.due_at == planned.now + _MINUTE
        made = timetable.stores.job(job.id)
        assert (made.schedule_id, made.scheduled_at) == (record.id, at)
        (claimed,) = timetable.stores.holder().claim()
        assert (claimed.id, claimed.occurrence_at, claimed.metadata) == (job.id, at, '{"a":1}')
        assert timetable.schedules.plan(decide, 10).schedules == 0

    def test_a_batch_takes_the_earliest_first(self, timetable: Timetable) -> None:
        now = timetable.now
        for number in range(5):
            timetable.put(f"s{number}", due_at=now - (5 - number) * _MINUTE)
        seen: list[str] = []

        def decide(found: ScheduleRecord, at: datetime, runs: Runs) -> Decision:
            seen.append(found.id)
            return Decision(replace(found, due_at=None))

        assert timetable.schedules.plan(decide, 3).more
        assert seen == ["s0", "s1", "s2"]
        assert not timetable.schedules.plan(decide, 3).more
        assert seen == ["s0", "s1", "s2", "s3", "s4"]

    def test_what_is_left_undecided_stays_due(self, timetable: Timetable) -> None:
        timetable.put()
        planned = timetable.schedules.plan(lambda record, now, runs: None, 10)
        assert (planned.schedules, planned.more) == (0, True)
        assert timetable.schedules.plan(lambda record, now, runs: Decision(record), 10).schedules == 1

    def test_an_id_that_exists_is_left_alone_live_or_finished(self, timetable: Timetable) -> None:
        record = timetable.put()
        live = timetable.job(record, timetable.now, data='{"n":1}')
        done = timetable.job(record, timetable.now - _MINUTE)
        timetable.stores.transport.enqueue([done])
        holder = timetable.stores.holder()
        (claimed,) = holder.claim()
        holder.settle(holder.succeeded(claimed))
        timetable.stores.transport.enqueue([live])
        again = [live._replace(data='{"n":2}'), done]
        planned = timetable.schedules.plan(
            lambda found, now, runs: Decision(replace(found, due_at=None), again), 10
        )
        assert planned.jobs == 0
        assert timetable.stores.job(live.id).data == {"n": 1}
        assert timetable.stores.job(done.id).status.is_final

    def test_live_jobs_are_counted_by_schedule(self, timetable: Timetable) -> None:
        one, other = timetable.put("one"), timetable.put("other")
        now = timetable.now
        jobs = [
            timetable.job(one, now),
            timetable.job(one, now - _MINUTE),
            timetable.job(one, now - 2 * _MINUTE, run_at=WAITS_ITS_TURN),
            timetable.job(other, now, run_at=WAITS_ITS_TURN),
        ]
        timetable.stores.transport.enqueue(jobs)
        timetable.stores.enqueue(3)
        seen: dict[str, Runs] = {}

        def decide(found: ScheduleRecord, at: datetime, runs: Runs) -> Decision:
            seen[found.id] = runs
            return Decision(found)

        timetable.schedules.plan(decide, 10)
        assert seen == {"one": Runs(2, 1), "other": Runs(0, 1)}
        assert set(timetable.schedules.live_jobs("one")) == {job.id for job in jobs[:3]}

    def test_those_that_wait_are_released_oldest_first(self, timetable: Timetable) -> None:
        record = timetable.put()
        now = timetable.now
        jobs = [timetable.job(record, now + n * _MINUTE, run_at=WAITS_ITS_TURN) for n in (2, 0, 1)]
        timetable.stores.transport.enqueue(jobs)
        holder = timetable.stores.holder()
        assert holder.claim() == []
        planned = timetable.schedules.plan(lambda r, at, runs: Decision(r, release=2), 10)
        assert planned.jobs == 2
        assert {job.id for job in holder.claim()} == {jobs[1].id, jobs[2].id}

    def test_those_that_wait_may_be_given_up(self, timetable: Timetable) -> None:
        record = timetable.put()
        now = timetable.now
        waits = [timetable.job(record, now + n * _MINUTE, run_at=WAITS_ITS_TURN) for n in range(3)]
        runs = timetable.job(record, now - _MINUTE)
        timetable.stores.transport.enqueue([*waits, runs])
        new = timetable.job(record, now + 9 * _MINUTE, run_at=WAITS_ITS_TURN)
        planned = timetable.schedules.plan(
            lambda r, at, counted: Decision(r, [new], drop=True, cancel=True), 10
        )
        assert planned.cancel == (runs.id,)
        assert set(timetable.schedules.live_jobs(record.id)) == {runs.id, new.id}

    def test_those_that_are_owed_are_never_given_up(self, timetable: Timetable) -> None:
        """Nor asked to stop: they were asked for by a backfill, or make up for missed ones."""
        record = timetable.put(overlap=OverlapPolicy.CANCEL_OTHER)
        now = timetable.now
        owed = '{"jobmaster.is_catchup":true}'
        marked = [
            timetable.job(record, now - 9 * _MINUTE, run_at=WAITS_ITS_TURN, metadata=owed),
            timetable.job(record, now - 8 * _MINUTE, metadata=owed),
        ]
        plain = [timetable.job(record, now - n * _MINUTE, run_at=WAITS_ITS_TURN) for n in (1, 2)]
        live = timetable.job(record, now - 3 * _MINUTE)
        timetable.stores.transport.enqueue([*marked, *plain, live])
        seen: list[Runs] = []

        def decide(found: ScheduleRecord, at: datetime, runs: Runs) -> Decision:
            seen.append(runs)
            return Decision(found, drop=True, cancel=True)

        assert timetable.schedules.plan(decide, 10).cancel == (live.id,)
        assert seen == [Runs(2, 3, 1)]
        assert set(timetable.schedules.live_jobs(record.id)) == {live.id, *(job.id for job in marked)}

    def test_asking_to_stop_is_written_with_the_decision(self, timetable: Timetable) -> None:
        """Whoever holds the run hears of it, and it is told once; one that nobody holds is told each time."""
        record = timetable.put()
        held = timetable.job(record, timetable.now - _MINUTE)
        timetable.stores.transport.enqueue([held])
        holder = timetable.stores.holder()
        assert [job.id for job in holder.claim()] == [held.id]
        free = timetable.job(record, timetable.now)
        timetable.stores.transport.enqueue([free])
        cancellations = timetable.stores.transport.cancellations
        assert cancellations(holder.buckets.values()) == frozenset()

        def decide(found: ScheduleRecord, at: datetime, runs: Runs) -> Decision:
            return Decision(found, cancel=True)

        assert set(timetable.schedules.plan(decide, 10).cancel) == {held.id, free.id}
        assert set(cancellations(holder.buckets.values())) == {held.id}
        assert timetable.schedules.plan(decide, 10).cancel == (free.id,)

    def test_the_oldest_may_be_released_and_the_others_given_up(self, timetable: Timetable) -> None:
        record = timetable.put()
        now = timetable.now
        waits = [timetable.job(record, now + n * _MINUTE, run_at=WAITS_ITS_TURN) for n in range(3)]
        timetable.stores.transport.enqueue(waits)
        timetable.schedules.plan(lambda r, at, counted: Decision(r, release=1, drop=True), 10)
        assert timetable.schedules.live_jobs(record.id) == [waits[0].id]
        assert [job.id for job in timetable.stores.holder().claim()] == [waits[0].id]

    def test_a_change_sees_what_is_there_and_may_refuse(self, timetable: Timetable) -> None:
        def refuse(found: ScheduleRecord | None, now: datetime, runs: Runs) -> Decision | None:
            assert found is None
            return None

        change = timetable.schedules.change("one", refuse)
        assert (change.before, change.after) == (None, None)

        def fail(found: ScheduleRecord | None, now: datetime, runs: Runs) -> Decision | None:
            raise ConflictError("no")

        with pytest.raises(ConflictError, match="no"):
            timetable.schedules.change("one", fail)
        record = timetable.put()
        job = timetable.job(record, timetable.now, occurrence_at=None)
        change = timetable.schedules.change(
            "one", lambda found, now, runs: Decision(replace(record, version=2), [job])
        )
        assert (change.before, change.after) == (record, replace(record, version=2))
        assert change.jobs == (job,)
        assert timetable.get().version == 2
        change = timetable.schedules.change("one", lambda found, now, runs: Decision(None))
        assert change.after is None
        assert timetable.schedules.get("one") is None
        assert timetable.stores.job(job.id).schedule_id == "one"

    def test_runs_by_hand_are_many(self, timetable: Timetable) -> None:
        record = timetable.put()
        jobs = [timetable.job(record, timetable.now, occurrence_at=None) for _ in range(3)]
        for job in jobs:
            timetable.schedules.change("one", partial(_decided, Decision(record, [job])))
        assert set(timetable.schedules.live_jobs("one")) == {job.id for job in jobs}

    def test_withdrawing_deletes_what_never_began(self, timetable: Timetable) -> None:
        now = timetable.now
        record = timetable.put(cursor_at=now, next_run_at=now + _MINUTE, due_at=now + _MINUTE)
        old = [timetable.job(record, now - n * _MINUTE) for n in range(4)]
        by_hand = timetable.job(record, now, occurrence_at=None)
        timetable.stores.transport.enqueue(old[3:])
        (running,) = timetable.stores.holder().claim()
        timetable.stores.transport.enqueue([*old[:3], by_hand])
        change = timetable.schedules.change(
            "one", lambda found, at, runs: Decision(replace(record, version=2), withdraw=True)
        )
        assert set(change.left) == {running.id, by_hand.id}
        assert timetable.get() == replace(record, version=2)
        assert set(timetable.schedules.live_jobs("one")) == {running.id, by_hand.id}

    def test_rewriting_keeps_what_never_began(self, timetable: Timetable) -> None:
        """Ids, due times and what a run makes up for stay; all else is as the schedule says now."""
        now = timetable.now
        record = timetable.put(cursor_at=now, next_run_at=now + _MINUTE, due_at=now + _MINUTE)
        transport = timetable.stores.transport
        began = timetable.job(record, now - 3 * _MINUTE, data='{"n":1}')
        transport.enqueue([began])
        holder = timetable.stores.holder()
        assert [job.id for job in holder.claim()] == [began.id]
        ready = timetable.job(record, now - 2 * _MINUTE, data='{"n":1}', metadata='{"a":1}')
        marks = '{"a":1,"jobmaster.is_catchup":true,"jobmaster.missed_count":1}'
        late = timetable.job(record, now - _MINUTE, data='{"n":1}', metadata=marks)
        later = now + timedelta(hours=3)
        moved = timetable.job(record, now, run_at=later, data='{"n":1}')
        waits = timetable.job(record, now - 4 * _MINUTE, run_at=WAITS_ITS_TURN, data='{"n":1}')
        by_hand = timetable.job(record, now, occurrence_at=None, run_at=later, data='{"n":1}')
        transport.enqueue([ready, late, moved, waits, by_hand])
        edited = replace(
            record,
            version=2,
            data='{"n":2}',
            metadata='{"b":2}',
            priority=Priority.HIGH,
            timeout=timedelta(seconds=5),
            max_retries=7,
        )
        change = timetable.schedules.change("one", lambda found, at, runs: Decision(edited, rewrite=True))
        assert (change.after, change.jobs) == (edited, ())
        assert timetable.get() == edited
        found = {job.id: timetable.stores.job(job.id) for job in (ready, late, moved, waits, by_hand, began)}
        assert {key for key, job in found.items() if job.data == {"n": 2}} == {
            ready.id,
            late.id,
            moved.id,
            waits.id,
        }
        assert found[ready.id].metadata == {"b": 2}
        assert found[late.id].metadata == {
            "b": 2,
            "jobmaster.is_catchup": True,
            "jobmaster.missed_count": 1,
        }
        assert found[late.id].priority is Priority.HIGH
        assert (found[moved.id].scheduled_at, found[waits.id].scheduled_at) == (later, WAITS_ITS_TURN)
        plain = replace(edited, metadata=None, lane="elsewhere")
        timetable.schedules.change("one", lambda found, at, runs: Decision(plain, rewrite=True))
        bare = timetable.stores.job(ready.id)
        assert (bare.metadata, bare.lane) == ({}, "elsewhere")
        assert holder.claim() == []

    def test_listeners_hear_of_changes(self, timetable: Timetable) -> None:
        heard: list[str | None] = []
        rung = threading.Event()

        def hear(lane: str | None) -> None:
            heard.append(lane)
            if PLANNERS in heard:
                rung.set()

        listener = timetable.stores.transport.listen(hear)
        try:
            for _ in range(100):
                # it may listen a moment later
                timetable.put()
                if rung.wait(0.1):
                    break
            assert rung.is_set()
        finally:
            listener.close()

    def test_two_planners_never_take_the_same(self, timetable: Timetable) -> None:
        for number in range(60):
            timetable.put(f"s{number:02}")
        taken: list[str] = []
        ready = threading.Barrier(4)

        def plan() -> None:
            ready.wait(10)
            mine: list[str] = []

            def decide(record: ScheduleRecord, now: datetime, runs: Runs) -> Decision:
                mine.append(record.id)
                return Decision(replace(record, due_at=None), [timetable.job(record, now)])

            for _ in range(30):
                mine.clear()
                planned = timetable.schedules.plan(decide, 5)
                taken.extend(mine[len(mine) - planned.schedules :])

        threads = [threading.Thread(target=plan) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == [f"s{number:02}" for number in range(60)]
        assert all(len(timetable.schedules.live_jobs(f"s{n:02}")) == 1 for n in range(60))
