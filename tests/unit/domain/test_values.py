"""Ids, names, durations, states."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmaster.domain.durations import as_timedelta, describe_about, describe_duration
from jobmaster.domain.ids import uuid7, uuid_numbers
from jobmaster.domain.names import check_definition_id, check_name, check_prefix, check_unique_key
from jobmaster.domain.status import TRANSITIONS, JobStatus, may_follow


def test_uuid7_grows_and_is_well_formed() -> None:
    ids = [uuid7() for _ in range(20_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(i.version, i.variant) for i in ids} == {(7, "specified in RFC 4122")}


def test_ids_made_at_once_are_like_those_made_one_by_one() -> None:
    ids: list[UUID] = []
    for count in (1, 3, 0, 500, 1, 20_000, 2):
        ids.append(uuid7())
        numbers = uuid_numbers(count)
        assert len(numbers) == count
        ids += [UUID(int=number) for number in numbers]
    ids.append(uuid7())
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(i.version, i.variant) for i in ids} == {(7, "specified in RFC 4122")}
    steps = [later - earlier for earlier, later in pairwise(uuid_numbers(500))]
    assert len(set(steps)) > 490
    assert 0 < min(steps) < max(steps) <= 1 << 32


def test_uuid7_is_unique_across_threads_and_forks() -> None:
    made: list[UUID] = []
    threads = [threading.Thread(target=lambda: made.extend(uuid7() for _ in range(2000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16_000
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"".join(uuid7().bytes for _ in range(200)))
        os._exit(0)
    here = {uuid7() for _ in range(200)}
    os.waitpid(child, 0)
    raw = os.read(reader, 3200)
    os.close(reader)
    os.close(writer)
    there = {UUID(bytes=raw[i : i + 16]) for i in range(0, len(raw), 16)}
    assert len(there) == 200
    assert not here & there


@pytest.mark.parametrize("name", ["a", "A9", "0-_x", "x" * 64])
def test_good_names(name: str) -> None:
    assert check_name("lane", name) is None


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "é", "x" * 65, "a\n", 5, None])
def test_bad_names(name: object) -> None:
    fault = check_name("lane", name)
    assert fault is not None
    assert fault.startswith("lane")


def test_longer_names() -> None:
    assert check_definition_id("été/ß 1") is None
    assert check_definition_id("x" * 201) is not None
    assert check_unique_key("k" * 255) is None
    assert check_unique_key("a\x00b") is not None
    assert check_unique_key("\ud800") is not None
    assert check_prefix("jm_") is None
    assert check_prefix('jm"; drop table x; --') is not None


@given(st.floats(0, 1e9))
def test_durations_take_seconds(seconds: float) -> None:
    assert as_timedelta(seconds, "x") == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 1e300])
def test_impossible_durations(value: float) -> None:
    with pytest.raises(ValueError, match="delay must be between"):
        as_timedelta(value, "delay")


@pytest.mark.parametrize("value", [True, "5", None])
def test_durations_of_the_wrong_type(value: object) -> None:
    with pytest.raises(TypeError, match="delay must be a timedelta"):
        as_timedelta(value, "delay")


def test_durations_read_well() -> None:
    spans = [timedelta(days=2), timedelta(hours=3), timedelta(minutes=5), timedelta(seconds=1.5)]
    assert [describe_duration(span) for span in spans] == ["2 days", "3 h", "5 min", "1.5 s"]
    spans = [timedelta(days=1), timedelta(seconds=5400), timedelta(seconds=3589.25), timedelta(0)]
    assert [describe_duration(span) for span in spans] == ["1 day", "1 h 30 min", "59 min 49.25 s", "0 s"]
    spans = [timedelta(seconds=-1.5), timedelta(microseconds=20), timedelta(days=1, seconds=5)]
    assert [describe_duration(span) for span in spans] == ["-1.5 s", "0.00002 s", "1 day 5 s"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.000003, "0.1 s"),
        (0.541673, "0.5 s"),
        (9.97, "10 s"),
        (12.34, "12 s"),
        (3589.59, "59 min 50 s"),
        (3599.9, "1 h"),
        (5432.1, "1 h 31 min"),
        (90_061, "1 day 1 h"),
        (-0.26, "-0.3 s"),
    ],
)
def test_what_is_left_is_told_roughly(seconds: float, text: str) -> None:
    assert describe_about(timedelta(seconds=seconds)) == text


def test_every_status_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(JobStatus)
    for status in JobStatus:
        assert not (status.is_final and status.is_waiting)
    for final in (s for s in JobStatus if s.is_final):
        # an end is left by an explicit retry only
        assert all(after in (JobStatus.READY, JobStatus.HELD_ON_MASTER) for after in TRANSITIONS[final])
    assert may_follow(JobStatus.READY, JobStatus.ASSIGNED_TO_BUCKET)
    assert not may_follow(JobStatus.SUCCEEDED, JobStatus.FAILED)
