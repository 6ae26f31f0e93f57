"""Which occurrences run, which are missed, skipped or wait: verdicts without stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobmaster import MisfirePolicy, OverlapPolicy
from jobmaster.domain import planning
from jobmaster.domain.occurrence import catchup_of, with_catchup
from jobmaster.domain.planning import Admission, Due, Misfire, Stretch, admit, jitter_of, reach
from jobmaster.recurrence import interval

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
hourly = interval(HOUR, anchor=START).next_after


def at(hours: float) -> datetime:
    return START + hours * HOUR


def misfire(policy: str, grace: float = 60, cap: int = 100, window: timedelta = DAY) -> Misfire:
    return Misfire(MisfirePolicy(policy), timedelta(seconds=grace), cap, window)


@pytest.mark.parametrize("policy", MisfirePolicy)
def test_what_is_punctual_runs_as_itself_under_every_policy(policy: MisfirePolicy) -> None:
    now = at(3) + timedelta(seconds=60)
    found = reach(hourly, at(2), now, misfire(policy))
    assert found.due == (Due(at(3)),)
    assert (found.missed, found.cursor, found.next_at) == (None, now, at(4))


def test_one_microsecond_beyond_the_grace_is_missed() -> None:
    now = at(3) + timedelta(seconds=60, microseconds=1)
    assert reach(hourly, at(2), now, misfire("skip")).due == ()
    assert reach(hourly, at(2), now, misfire("fire_once")).due == (Due(at(3), True, 1),)


def test_nothing_is_due_before_its_time() -> None:
    found = reach(hourly, at(2), at(3) - timedelta(microseconds=1), misfire("fire_once"))
    assert (found.due, found.cursor, found.next_at) == ((), at(2), at(3))


NOON = at(24.5)
"""Half an hour after an occurrence; the planner stopped at the start of the day."""


@pytest.mark.parametrize(
    ("policy", "due", "missed"),
    [
        ("fire_once", (Due(at(24), True, 24),), Stretch(23, at(1), at(24))),
        ("skip", (), Stretch(24, at(1), at(24))),
        ("fire_all", tuple(Due(at(n), True, 1) for n in range(1, 25)), None),
    ],
)
def test_a_day_without_planners(policy: str, due: tuple[Due, ...], missed: Stretch | None) -> None:
    found = reach(hourly, START, NOON, misfire(policy, window=2 * DAY))
    assert found.due == due
    assert found.missed == missed
    assert found.next_at == at(25)


def test_the_punctual_one_carries_the_count_of_the_missed() -> None:
    found = reach(hourly, START, at(24) + timedelta(seconds=5), misfire("fire_once"))
    assert found.due == (Due(at(24), False, 23),)
    assert found.missed == Stretch(23, at(1), at(23))


def test_fire_all_runs_the_newest_of_too_many() -> None:
    found = reach(hourly, START, NOON, misfire("fire_all", cap=3))
    assert [due.at for due in found.due] == [at(22), at(23), at(24)]
    assert found.missed == Stretch(21, at(1), at(24))


def test_older_than_the_window_is_never_run() -> None:
    found = reach(hourly, START, at(100.5), misfire("fire_all", window=3 * HOUR))
    assert [due.at for due in found.due] == [at(98), at(99), at(100)]
    assert found.missed == Stretch(97, at(1), at(97))


def test_a_grace_longer_than_the_window_still_holds() -> None:
    found = reach(hourly, START, at(5.5), misfire("skip", grace=7200, window=HOUR))
    assert [due.at for due in found.due] == [at(4), at(5)]
    assert found.missed == Stretch(3, at(1), at(3))


def test_a_dense_schedule_after_years_costs_little() -> None:
    asked = 0
    secondly = interval(timedelta(seconds=1), anchor=START).next_after

    def counting(instant: datetime) -> datetime | None:
        nonlocal asked
        asked += 1
        return secondly(instant)

    now = START + timedelta(days=2000, seconds=0.5)
    found = reach(counting, START, now, misfire("fire_once", grace=0, window=DAY))
    assert found.due == (Due(now.replace(microsecond=0), True, planning.MOST_COUNTED),)
    assert found.missed is not None
    assert found.missed.first == START + timedelta(seconds=1)
    assert asked < planning.MOST_COUNTED + planning.MOST_TOO_OLD + 100


def test_more_punctual_ones_than_a_pass_takes_are_left_to_the_next() -> None:
    secondly = interval(timedelta(seconds=1), anchor=START).next_after
    now = START + timedelta(seconds=1500)
    first = reach(secondly, START, now, misfire("skip", grace=3600))
    assert len(first.due) == planning.MOST_DUE
    assert first.next_at is not None
    assert first.next_at <= now
    second = reach(secondly, first.cursor, now, misfire("skip", grace=3600))
    assert [due.at for due in (*first.due, *second.due)] == [
        START + timedelta(seconds=n) for n in range(1, 1501)
    ]


@settings(deadline=None)  # many occurrences take their time on a busy machine
@given(
    step=st.integers(1, 5000),
    behind=st.integers(0, 400_000),
    grace=st.integers(0, 7200),
    window=st.integers(0, 200_000),
    cap=st.integers(1, 30),
    policy=st.sampled_from(list(MisfirePolicy)),
)
def test_every_occurrence_is_decided_once(
    step: int, behind: int, grace: int, window: int, cap: int, policy: MisfirePolicy
) -> None:
    recurs = interval(timedelta(seconds=step), anchor=START).next_after
    now = START + timedelta(seconds=behind)
    rule = Misfire(policy, timedelta(seconds=grace), cap, timedelta(seconds=window))
    found = reach(recurs, START, now, rule)
    everything = [START + timedelta(seconds=n) for n in range(step, behind + 1, step)]
    instants = [due.at for due in found.due]
    assert instants == sorted(set(instants))
    assert set(instants) <= set(everything)
    punctual = [one for one in everything if now - one <= rule.grace]
    if len(punctual) <= planning.MOST_DUE:
        assert set(punctual) <= set(instants)
        assert found.next_at == recurs(now)
        if len(everything) < planning.MOST_TOO_OLD:
            not_run = found.missed.count if found.missed else 0
            assert not_run + len(instants) == len(everything)
    late = [due for due in found.due if due.is_catchup]
    assert len(late) <= {"fire_once": 1, "skip": 0, "fire_all": cap}[policy.value]
    assert all(rule.grace < now - due.at <= max(rule.window, rule.grace) for due in late)
    again = reach(recurs, found.cursor, now, rule)
    if found.next_at is None or found.next_at > now:
        assert (again.due, again.missed) == ((), None)


ONE, TWO, THREE = Due(at(1)), Due(at(2)), Due(at(3))
LATE = tuple(Due(at(n), True, 1) for n in range(1, 4))


@pytest.mark.parametrize(
    ("policy", "live", "waiting", "due", "expected"),
    [
        ("skip", 0, 0, [ONE], Admission(start=(ONE,))),
        ("skip", 1, 0, [ONE], Admission(skipped=1)),
        ("skip", 0, 0, [ONE, TWO], Admission(start=(ONE,), skipped=1)),
        ("buffer_one", 1, 0, [ONE, TWO], Admission(wait=(ONE,), skipped=1)),
        ("buffer_one", 1, 1, [ONE], Admission(skipped=1)),
        ("buffer_one", 0, 1, [ONE], Admission(release=1, wait=(ONE,))),
        ("buffer_one", 0, 0, [ONE, TWO, THREE], Admission(start=(ONE,), wait=(TWO,), skipped=1)),
        ("buffer_all", 1, 1, [ONE, TWO], Admission(wait=(ONE,), skipped=1)),
        ("buffer_all", 0, 2, [], Admission(release=1)),
        ("buffer_all", 1, 2, [], Admission()),
        ("allow", 3, 0, [ONE, TWO], Admission(start=(ONE, TWO))),
        ("allow", 1, 2, [ONE], Admission(start=(ONE,), release=2)),
        ("cancel_other", 0, 0, [ONE], Admission(start=(ONE,))),
        ("cancel_other", 1, 0, [ONE], Admission(wait=(ONE,), cancel=True)),
        ("cancel_other", 1, 1, [TWO], Admission(wait=(TWO,), skipped=1, drop=True, cancel=True)),
        ("cancel_other", 0, 0, [ONE, TWO], Admission(start=(TWO,), skipped=1)),
        ("cancel_other", 1, 0, [ONE, TWO], Admission(wait=(TWO,), skipped=1, cancel=True)),
        ("cancel_other", 1, 1, [], Admission(cancel=True)),
        ("cancel_other", 0, 1, [], Admission(release=1)),
    ],
)
def test_overlap(policy: str, live: int, waiting: int, due: list[Due], expected: Admission) -> None:
    assert admit(OverlapPolicy(policy), 2, live, waiting, due, catch_up=False) == expected


@pytest.mark.parametrize("policy", [p for p in OverlapPolicy if p is not OverlapPolicy.ALLOW])
def test_runs_that_make_up_for_missed_ones_wait_for_each_other(policy: OverlapPolicy) -> None:
    found = admit(policy, 2, 0, 0, LATE, catch_up=True)
    assert found == Admission(start=LATE[:1], wait=LATE[1:])
    assert admit(policy, 2, 1, 0, LATE, catch_up=True) == Admission(wait=LATE)


@pytest.mark.parametrize(
    ("live", "waiting", "owed", "due", "expected"),
    [
        (1, 2, 2, [Due(at(9))], Admission(wait=(Due(at(9)),))),
        (1, 3, 2, [Due(at(9))], Admission(wait=(Due(at(9)),), skipped=1, drop=True)),
        (1, 3, 2, [], Admission()),
        (0, 2, 2, [Due(at(9))], Admission(release=1, wait=(Due(at(9)),))),
        (0, 0, 0, [*LATE, Due(at(9))], Admission(start=LATE[:1], wait=(*LATE[1:], Due(at(9))))),
        (1, 1, 0, LATE, Admission(wait=LATE)),
        (0, 0, 0, [LATE[0], Due(at(9))], Admission(start=LATE[:1], wait=(Due(at(9)),))),
    ],
)
def test_the_newest_gives_up_none_that_is_owed(
    live: int, waiting: int, owed: int, due: list[Due], expected: Admission
) -> None:
    assert admit(OverlapPolicy.CANCEL_OTHER, 2, live, waiting, due, True, owed) == expected


def test_a_punctual_one_behind_them_is_skipped() -> None:
    found = admit(OverlapPolicy.SKIP, 2, 0, 0, [*LATE, Due(at(4))], catch_up=True)
    assert found == Admission(start=LATE[:1], wait=LATE[1:], skipped=1)


@given(
    policy=st.sampled_from([p for p in OverlapPolicy if p is not OverlapPolicy.ALLOW]),
    limit=st.integers(1, 5),
    live=st.integers(0, 3),
    waiting=st.integers(0, 5),
    count=st.integers(0, 8),
    catch_up=st.booleans(),
    part=st.integers(0, 5),
)
def test_no_policy_but_allow_starts_a_second_run(
    policy: OverlapPolicy, limit: int, live: int, waiting: int, count: int, catch_up: bool, part: int
) -> None:
    due = [Due(at(n), catch_up and n % 2 == 0) for n in range(count)]
    owed = min(part, waiting) if policy is OverlapPolicy.CANCEL_OTHER else 0
    found = admit(policy, limit, live, waiting, due, catch_up, owed)
    begun = len(found.start) + found.release
    assert begun <= 1
    assert live == 0 or begun == 0
    left = waiting - found.release
    dropped = left - min(owed, left) if found.drop else 0
    assert len(found.start) + len(found.wait) + found.skipped == count + dropped


def test_jitter_is_fixed_for_a_schedule_and_below_its_bound() -> None:
    spread = {jitter_of(f"schedule-{n}", timedelta(seconds=30)) for n in range(200)}
    assert len(spread) == 200
    assert all(timedelta(0) <= jitter < timedelta(seconds=30) for jitter in spread)
    assert jitter_of("a", timedelta(seconds=30)) == jitter_of("a", timedelta(seconds=30))
    assert jitter_of("a", None) == timedelta(0)


def test_what_a_run_makes_up_for_travels_in_its_metadata() -> None:
    assert with_catchup('{"a":1}', Due(at(1))) == '{"a":1}'
    assert with_catchup(None, Due(at(1))) is None
    assert catchup_of(with_catchup('{"a":1}', Due(at(1), True, 7))) == (True, 7)
    assert catchup_of(with_catchup(None, Due(at(1), False, 3))) == (False, 3)
    assert catchup_of('{"a":"jobmaster.is_catchup"}') == (False, 0)
