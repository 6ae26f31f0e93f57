"""The page on recurrence: its cookbook, its example and its table of clock changes are true."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobmaster.recurrence import RecurrenceSyntaxError, parse

PAGE = (Path(__file__).parents[2] / "docs" / "recurrence.md").read_text("utf-8")
ANCHOR = datetime(2026, 3, 4, 10, 37, 12, tzinfo=UTC)
COOKBOOK = re.findall(
    r"^\| (.+?) \| `(.+?)` \| ((?:\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?(?:, )?)+) \|$", PAGE, re.M
)


def test_the_cookbook_is_read() -> None:
    assert len(COOKBOOK) >= 40


@pytest.mark.parametrize(("text", "shown"), [row[1:] for row in COOKBOOK])
def test_the_cookbook_is_true(text: str, shown: str) -> None:
    recurrence = parse(text, anchor=ANCHOR)
    at = ANCHOR
    for expected in shown.split(", "):
        following = recurrence.next_after(at)
        assert following == datetime.fromisoformat(expected).replace(tzinfo=UTC)
        at = following


def test_the_first_example_is_true() -> None:
    daily = parse("every weekday at 18:00 tz Europe/Paris", anchor=ANCHOR)
    assert f"{daily.next_after(ANCHOR):%Y-%m-%d %H:%M UTC}" in PAGE
    assert daily.describe() in PAGE


def test_the_error_is_shown_as_it_is() -> None:
    with pytest.raises(RecurrenceSyntaxError) as caught:
        parse("every day betwen mon and fri")
    assert str(caught.value) in PAGE


@pytest.mark.parametrize(
    ("text", "gap", "overlap"),
    [
        ("30 2 * * *", ["03:00 EDT"], ["02:30 EST"]),
        ("30 1 * * *", ["01:30 EST"], ["01:30 EDT"]),
        ("0,30 2 * * *", ["03:00 EDT"], ["02:00 EST", "02:30 EST"]),
        (
            "15 * * * *",
            ["00:15 EST", "01:15 EST", "03:15 EDT"],
            ["00:15 EDT", "01:15 EDT", "01:15 EST", "02:15 EST"],
        ),
        (
            "every 30 minutes between 01:00 and 02:00",
            ["01:00 EST", "01:30 EST"],
            ["01:00 EDT", "01:30 EDT", "01:00 EST", "01:30 EST", "02:00 EST"],
        ),
    ],
)
def test_the_clock_changes_are_as_told(text: str, gap: list[str], overlap: list[str]) -> None:
    assert f"| `{text}` |" in PAGE
    recurrence = parse(text, time_zone="America/New_York", anchor=ANCHOR)
    for midnight, shown in (
        (datetime(2026, 3, 8, 5, tzinfo=UTC), gap),
        (datetime(2026, 11, 1, 4, tzinfo=UTC), overlap),
    ):
        occurrences = recurrence.explain(
            datetime.fromtimestamp(midnight.timestamp() - 1, UTC), len(shown)
        ).occurrences
        assert [f"{one.local:%H:%M %Z}" for one in occurrences] == shown
