"""The bounds on time: against croniter in the same run, per call for hostile texts, and at import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import thread_time

import pytest
from croniter import croniter

from jobmaster.recurrence import Recurrence, RecurrenceSyntaxError, cron, natural, parse

BASE = datetime(2026, 3, 4, 10, 37, 12, tzinfo=UTC)
COUNT = 1000
EXPRESSIONS = ("*/5 * * * *", "0 18 * * 1-5", "30 2 1 * *", "0 0 L * *", "*/10 * * * * *")
LONGEST_CALL = 0.05
MARGIN = 4  # how much slower than the reference machine a machine under load may be
REFERENCE = 60e-6  # seconds that the reference machine takes to count


def count() -> int:
    total = 0
    for number in range(1000):
        total += number & 7
    return total


def margin() -> float:
    """:data:`MARGIN`, and more on a machine that is slower in this very moment."""
    return MARGIN * max(1.0, best(count, 20) / REFERENCE)


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of this thread's own time: what else the machine does counts for little."""
    times = []
    for _ in range(rounds):
        start = thread_time()
        work()
        times.append(thread_time() - start)
    return min(times)


def ratio(work: Callable[[], object], other: Callable[[], object], rounds: int = 15) -> float:
    """How much longer ``work`` takes than ``other``; measured in turn, so that a busy spell meets both."""
    pairs = [(best(work, 1), best(other, 1)) for _ in range(rounds)]
    return min(ours for ours, _ in pairs) / min(theirs for _, theirs in pairs)


def walk(recurrence: Recurrence) -> None:
    at: datetime | None = BASE
    for _ in range(COUNT):
        assert at is not None
        at = recurrence.next_after(at)


def walk_croniter(text: str) -> None:
    other = croniter(text, BASE, second_at_beginning=text.count(" ") == 5)
    for _ in range(COUNT):
        other.get_next(datetime)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_cron_is_ten_times_faster_than_croniter(text: str) -> None:
    ours = cron(text)
    assert ratio(lambda: walk_croniter(text), lambda: walk(ours), 5) >= 10


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_zone_costs_at_most_three_times_as_much(text: str) -> None:
    plain, zoned = cron(text), cron(text, time_zone="America/New_York")
    assert ratio(lambda: walk(zoned), lambda: walk(plain)) <= 3


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("every day at 18:00 between mon and fri", 10),
        ("every 2 weeks on [mon, fri] at 09:00", 10),
        ("every 10 minutes between 08:00 and 09:00", 50),
        ("every 2 hours at minute 30 between mon and fri", 50),
        ("every hour between 09:00 and 17:00 except between 12:00 and 12:59", 50),
    ],
)
def test_natural_forms_cost_little(text: str, micros: int) -> None:
    recurrence = natural(text, anchor=BASE)
    assert best(lambda: walk(recurrence)) / COUNT * 1e6 <= micros * margin()


@pytest.mark.parametrize(
    "text", ["*/5 9-17 * * MON-FRI", "every day at 18:00 between mon and fri tz Europe/Paris"]
)
def test_parsing_costs_little(text: str) -> None:
    assert best(lambda: parse(text, anchor=BASE), 20) * 1e6 <= 200 * margin()


HOSTILE = (
    "every 24 hours except between 10:00 and 11:00",
    "every 2 hours except at minute 37",
    "every 86401 seconds except between 00:00 and 23:00",
    "every 2 hours at minute 30 except [hour 1, hour 3, hour 5, hour 7, hour 9, hour 11, hour 13, hour 15]",
    "every hour at minute 30 between 09:00 and 09:10",
    "every 59 hours from noon except on noon",
    "every 59 hours upto noon except on [midnight, noon]",
    "every 1 seconds except on second 44 at midnight except on feb-29 except on 00:00",
    "every 1000000 years",
    "every 1000000 hours on monday",
    "every second except between 1st 00:00 and 31st 23:58",
    "every second in year 9998",
    "every 7 seconds between sec 10 and 12 on feb-29 on monday",
    "every 2 weeks from jan on [13:38, 13:40]",
    "every 5 minutes between february and january",
    "every 3 days between 29th and 31st in feb except feb-29",
    "every 1000 months between LastWeekday and 1st",
    "on [jan-01 00:00, feb-29 12:00] on fri",
    "every 100 days from 9990-01-01",
    "every 2 days AnchoredOn 1 on fifth mon in feb",
    "0 0 29 2 1",
    "0 0 31W 1,3,5 *",
    "0 0 29 2 1#5",
    "FREQ=YEARLY;INTERVAL=100000",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SU;INTERVAL=3",
    "FREQ=MONTHLY;BYMONTHDAY=31;BYDAY=FR;BYSETPOS=2",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU;BYSETPOS=3",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;INTERVAL=7",
    "FREQ=DAILY;INTERVAL=100000;BYMONTHDAY=31",
)


def read(text: str, zone: str) -> Recurrence | None:
    """``None`` for what is impossible, and found so when it is read."""
    try:
        return parse(text, time_zone=zone, anchor=BASE)
    except RecurrenceSyntaxError:
        return None


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_makes_a_call_long(text: str, zone: str) -> None:
    assert best(lambda: read(text, zone), 3) <= LONGEST_CALL * margin()
    recurrence = read(text, zone)
    if recurrence is None:
        return
    for base in (BASE, datetime(2060, 1, 1, tzinfo=UTC)):
        assert best(lambda at=base: recurrence.next_after(at), 3) <= LONGEST_CALL * margin()  # type: ignore[misc]


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_importing_the_room_is_quick() -> None:
    code = "from time import perf_counter as t; a = t(); import jobmaster.recurrence; print(t() - a)"
    assert min(float(run(code)) for _ in range(3)) <= 0.030 * margin()


def test_dateutil_and_other_heavy_things_stay_outside() -> None:
    code = """
import sys
from datetime import UTC, datetime
import jobmaster.recurrence as room
now = datetime(2026, 3, 4, tzinfo=UTC)
for text in ("0 0 * * *", "every day", "5m", "FREQ=DAILY"):
    print(room.parse(text, anchor=now).next_after(now), file=sys.stderr)
heavy = {"dateutil", "sqlalchemy", "pydantic", "anyio", "typer", "jobmaster.domain"}
print(*sorted(heavy & set(sys.modules)))
"""
    assert run(code) == ""
