"""Every row of the vector tables: by iterating, by fresh parses, and from just before each result."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobmaster.recurrence import Recurrence, RecurrenceSyntaxError, parse

from .table import FOLDER, Row, rows

TABLES = ("cron_utc", "cron_zones", "natural", "rrule", "interval")
ROWS = [pytest.param(row, id=f"{name}-{n}") for name in TABLES for n, row in enumerate(rows(name), 2)]
ERRORS = [pytest.param(row, id=f"errors-{n}") for n, row in enumerate(rows("errors"), 2)]
TICK = timedelta(microseconds=1)


def read(row: Row) -> Recurrence:
    return parse(row.expression, kind=row.kind, time_zone=row.time_zone, anchor=row.anchor)


def test_every_table_is_read() -> None:
    assert {path.stem for path in FOLDER.glob("*.csv")} == {*TABLES, "errors"}
    assert len(ROWS) > 400
    assert len(ERRORS) > 150


@pytest.mark.parametrize("row", ROWS)
def test_by_iterating(row: Row) -> None:
    recurrence = read(row)
    at = row.base
    assert at is not None
    for expected in row.expected:
        found = recurrence.next_after(at)
        assert found == expected, row.note
        if found is not None:
            at = found


@pytest.mark.parametrize("row", ROWS)
def test_by_a_fresh_parse_for_each_result(row: Row) -> None:
    at = row.base
    for expected in row.expected:
        assert at is not None
        assert read(row).next_after(at) == expected, row.note
        at = expected


@pytest.mark.parametrize("row", ROWS)
def test_from_just_before_each_result(row: Row) -> None:
    recurrence = read(row)
    for expected in row.expected:
        if expected is not None:
            assert recurrence.next_after(expected - TICK) == expected, row.note


@pytest.mark.parametrize("row", ROWS)
def test_the_canonical_text_reads_as_an_equal_recurrence(row: Row) -> None:
    recurrence = read(row)
    again = parse(recurrence.expression, kind=row.kind, time_zone=recurrence.time_zone, anchor=row.anchor)
    assert again == recurrence
    assert hash(again) == hash(recurrence)
    assert again.expression == recurrence.expression
    assert again.describe() == recurrence.describe()


@pytest.mark.parametrize("row", ERRORS)
def test_the_first_problem_stands_where_it_should(row: Row) -> None:
    with pytest.raises(RecurrenceSyntaxError) as caught:
        read(row)
    error = caught.value
    assert error.problems[0].start == row.error_offset, str(error)
    assert error.column == error.problems[0].start + 1
    assert [problem.start for problem in error.problems] == sorted(
        problem.start for problem in error.problems
    )
    assert all(0 <= problem.start <= problem.end <= len(row.expression) + 1 for problem in error.problems)
    assert str(error).splitlines()[-1].startswith(f"column {error.column}: ")
