"""What an error says: where, what was expected, and what was probably meant."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobmaster.errors import JobMasterError
from jobmaster.recurrence import Problem, Recurrence, RecurrenceSyntaxError, parse

from .strategies import naturals, rrules
from .table import rows

KINDS = ("cron", "natural", "rrule", "interval")


def error_of(text: str, kind: str | None = None) -> RecurrenceSyntaxError:
    with pytest.raises(RecurrenceSyntaxError) as caught:
        parse(text, kind=kind)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "text", "suggestion"),
    [
        ("natural", "every 5 minuts", '"minutes"'),
        ("natural", "every day betwen mon and fri", '"between"'),
        ("natural", "evry day", '"every"'),
        ("natural", "every day at 9am in januray", '"january"'),
        ("natural", "every fortnight", '"every 2 weeks"'),
        ("natural", "every other day", '"every 2 days"'),
        ("natural", "every first monday", '"every month on first monday"'),
        ("natural", "every second monday", '"every 2 weeks on monday", or "every month on second monday"'),
        ("natural", "every 15th", '"every month on 15th"'),
        ("natural", "at 9", '"9am" or "9:00"'),
        ("natural", "every day at 10.30", '"10:30"'),
        ("natural", "every day 10:00", '"at 10:00"'),
        ("natural", "monday every week", '"on monday"'),
        ("natural", "every hour until 17:00", '"upto 17:00"'),
        ("natural", "every hour between 9am and 10:30", '"9:00"'),
        ("natural", "on friday 13th", '"on 13th on friday"'),
        ("natural", "every day tz Europe/Lodon", '"Europe/London"'),
        ("cron", "0 0 * * MUN", '"MON"'),
        ("cron", "*/75 * * * *", 'the interval "75m"'),
        ("cron", "CRON_TZ=Europe/Lodon 0 0 * * *", '"Europe/London"'),
        ("cron", "@dayly", '"@daily"'),
        ("rrule", "FREQ=DAYLY", '"DAILY"'),
        ("rrule", "FREQ=WEEKLY;BYDYA=MO", '"BYDAY"'),
        ("interval", "90", '"90s"'),
    ],
)
def test_it_suggests_what_was_meant(kind: str, text: str, suggestion: str) -> None:
    assert error_of(text, kind).suggestion == suggestion


def test_it_shows_the_place() -> None:
    error = error_of("every 5 minuts")
    assert str(error) == (
        'every 5 minuts\n        ^\ncolumn 9: unknown word "minuts"; did you mean "minutes"?'
    )
    assert error.column == 9
    assert "minute" in error.expected
    assert isinstance(error, ValueError)
    assert isinstance(error, JobMasterError)


def test_it_shows_at_most_eighty_characters() -> None:
    text = "every day at 10:00, " + ", ".join(["11:00"] * 40) + " betwen mon and fri " + "on monday " * 10
    shown, caret, message = str(error_of(text)).splitlines()
    assert len(shown) == 80
    assert shown[caret.index("^") :].startswith("betwen")
    assert message.startswith(f"column {text.index('betwen') + 1}: ")


def test_it_finds_several_problems() -> None:
    error = error_of("evry day at 25:00 on feb-30")
    assert [problem.start for problem in error.problems] == [0, 12, 25]
    assert str(error).endswith("(and 2 more)")


def test_ranges_are_what_was_expected() -> None:
    assert error_of("60 * * * *").expected == ("0-59",)
    assert error_of("every day at 25:00").expected == ("0-23",)
    assert error_of("FREQ=MONTHLY;BYMONTHDAY=32").expected == ("1-31",)


def test_problems_compare_by_what_they_say() -> None:
    problem = Problem("range", "too much", 3, 5, ["0-59"])
    assert problem == Problem("range", "too much", 3, 5, ("0-59",))
    assert problem != Problem("range", "too much", 3, 6, ("0-59",))
    assert hash(problem) == hash(Problem("range", "too much", 3, 5, ("0-59",)))
    assert problem != "range"


@pytest.mark.parametrize("kind", KINDS)
def test_texts_and_lists_have_a_longest_length(kind: str) -> None:
    assert error_of("1" * 1001, kind).problems[0].start == 1000
    assert (
        error_of("on [" + ", ".join(["mon"] * 200) + "]" + " " * 800, "natural").problems[0].code
        == "too_long"
    )


@pytest.mark.parametrize(("kind", "text"), [(kind, 5) for kind in KINDS])
def test_only_texts_can_be_read(kind: str, text: object) -> None:
    with pytest.raises(TypeError):
        parse(text, kind=kind)  # type: ignore[arg-type]


SEEDS = [
    row.expression for name in ("natural", "cron_utc", "rrule", "interval", "errors") for row in rows(name)
]
PIECES = st.sampled_from([piece for text in SEEDS for piece in text.split(" ")])
MUTANTS = st.builds(
    lambda text, at, piece, cut: text[: at % (len(text) + 1)] + piece + text[(at + cut) % (len(text) + 1) :],
    st.sampled_from(SEEDS),
    st.integers(0, 80),
    st.one_of(st.text(max_size=3), PIECES, st.sampled_from(list("[]@,;:-+/.#?*0123456789"))),
    st.integers(0, 6),
)
TEXTS = st.one_of(
    st.text(max_size=60), MUTANTS, st.lists(PIECES, max_size=8).map(" ".join), naturals(), rrules()
)


@settings(max_examples=1500, deadline=None)
@given(TEXTS, st.sampled_from((None, *KINDS)))
def test_no_text_raises_anything_else(text: str, kind: str | None) -> None:
    found: Recurrence | RecurrenceSyntaxError
    try:
        found = parse(text, kind=kind)
    except RecurrenceSyntaxError as error:
        found = error
    if isinstance(found, RecurrenceSyntaxError):
        assert found.problems
        assert all(0 <= problem.start <= len(text) for problem in found.problems)
        assert found.column == found.problems[0].start + 1
        assert str(found)
    else:
        assert parse(found.expression, kind=found.kind, time_zone=found.time_zone) == found
