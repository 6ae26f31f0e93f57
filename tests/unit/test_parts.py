"""Which parts a history should have, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from jobmaster.domain.ids import uuid7
from jobmaster.sql.parts import Part, end_of, first_end, first_id, missing, name_of, span_of

NOON = datetime(2031, 5, 4, 12, tzinfo=UTC)
MIDNIGHT = datetime(2031, 5, 4, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("retention", "span"),
    [
        (timedelta(days=30), DAY),
        (timedelta(days=31), timedelta(hours=25)),
        (timedelta(days=3), timedelta(hours=2)),
        (timedelta(hours=1), HOUR),
        (timedelta(0), HOUR),
        (timedelta(days=3650), timedelta(days=7)),
        (None, timedelta(days=7)),
    ],
)
def test_a_part_spans_a_thirtieth_of_the_retention(retention: timedelta | None, span: timedelta) -> None:
    assert span_of(retention) == span


def test_parts_are_made_until_three_spans_from_now() -> None:
    parts = missing(NOON, [], DAY)
    assert [part.end for part in parts] == [MIDNIGHT + n * DAY for n in (1, 2, 3, 4)]
    assert parts[0].begin == MIDNIGHT
    assert missing(NOON, [part.end for part in parts], DAY) == []


def test_parts_follow_each_other_when_their_span_changes() -> None:
    begin = MIDNIGHT + DAY
    longer = missing(NOON, [begin], timedelta(days=7))
    assert longer[0].begin == begin
    assert all(one.end == other.begin for one, other in pairwise(longer))
    assert missing(NOON, [begin], HOUR) == []
    assert missing(begin - HOUR, [begin], HOUR) == [
        Part(begin, begin + HOUR),
        Part(begin + HOUR, begin + 2 * HOUR),
    ]


def test_no_part_is_made_for_days_that_have_passed() -> None:
    """As when coordinators were away: the rest has the ids of these days."""
    assert missing(NOON, [MIDNIGHT - 9 * DAY], DAY)[0].begin == MIDNIGHT


def test_a_name_tells_the_end() -> None:
    assert end_of(name_of(NOON)) == NOON
    assert len(name_of(NOON)) == len(name_of(NOON + 900 * DAY)) == 13
    assert name_of(NOON) < name_of(NOON + timedelta(milliseconds=1))
    assert [end_of(name) for name in ("rest", "p12", "p0123456789abc", "q0123456789ab", "")] == [None] * 5


def test_ids_lie_between_the_bounds_of_their_instant() -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    made = uuid7()
    assert first_id(before) < made < first_id(datetime.now(UTC) + timedelta(seconds=1))
    assert first_id(NOON).int & (1 << 80) - 1 == 0


def test_the_first_part_does_not_end_right_now() -> None:
    assert first_end(NOON) == MIDNIGHT + DAY
    assert first_end(MIDNIGHT - timedelta(minutes=59)) == MIDNIGHT + DAY
    assert first_end(MIDNIGHT - timedelta(minutes=61)) == MIDNIGHT
