"""Random recurrences, zones and instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from .oracle import PlainCron

ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Dublin",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kolkata",
    "America/Asuncion",
    "America/Havana",
    "America/Nuuk",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
)
# Instants around which the clocks of these zones change.
CHANGES = (
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 4, 23, 22, tzinfo=UTC),
    datetime(2026, 2, 15, 2, tzinfo=UTC),
    datetime(2026, 3, 22, 2, tzinfo=UTC),
    datetime(2025, 3, 29, 22, tzinfo=UTC),
    datetime(2025, 10, 25, 21, tzinfo=UTC),
    datetime(2023, 10, 1, 4, tzinfo=UTC),
    datetime(2025, 3, 9, 5, tzinfo=UTC),
    datetime(2024, 3, 31, 1, tzinfo=UTC),
    datetime(2025, 10, 4, 15, 30, tzinfo=UTC),
    datetime(2025, 4, 5, 15, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
    datetime(2025, 9, 27, 14, tzinfo=UTC),
)

zones = st.sampled_from(ZONES)
instants = st.one_of(
    st.integers(157_766_400, 3_629_232_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.builds(
        lambda change, seconds: change + timedelta(seconds=seconds),
        st.sampled_from(CHANGES),
        st.integers(-90_000, 90_000),
    ),
)


def field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int], bool]]:
    """The text of a cron field, its values, and whether it has a star, a range or a step."""
    number = st.integers(low, high)

    def stepped(start: int, step: int) -> tuple[str, frozenset[int], bool]:
        return f"{start}/{step}", frozenset(range(start, high + 1, step)), True

    def ranged(first: int, last: int) -> tuple[str, frozenset[int], bool]:
        values = range(first, last + 1) if first <= last else (*range(first, high + 1), *range(low, last + 1))
        return f"{first}-{last}", frozenset(values), True

    item = st.one_of(
        number.map(lambda one: (str(one), frozenset({one}), False)),
        st.builds(stepped, number, st.integers(1, high - low + 1)),
        st.builds(ranged, number, number),
        st.integers(1, high - low + 1).map(
            lambda step: (f"*/{step}", frozenset(range(low, high + 1, step)), True)
        ),
    )
    several = st.lists(item, min_size=1, max_size=3).map(
        lambda items: (
            ",".join(one[0] for one in items),
            frozenset[int]().union(*(one[1] for one in items)),
            any(one[2] for one in items),
        )
    )
    return st.one_of(st.just(("*", frozenset(range(low, high + 1)), True)), several)


@st.composite
def crons(draw: st.DrawFn, with_seconds: bool = True, weekdays: bool = True) -> PlainCron:
    """A cron expression whose days are those of one field only, with the sets it stands for."""
    second = draw(field(0, 59)) if with_seconds and draw(st.booleans()) else None
    minute, hour = draw(field(0, 59)), draw(field(0, 23))
    day = weekday = ("*", frozenset(range(32)), True)
    if draw(st.booleans()) and weekdays:
        weekday = draw(field(0, 6))
    else:
        day = draw(field(1, 31))
    month = draw(st.one_of(st.just(("*", frozenset(range(1, 13)), True)), field(1, 12)))
    fields = [minute, hour, day, month, weekday]
    if second is not None:
        fields.insert(0, second)
    times = fields[:-3]
    return PlainCron(
        " ".join(one[0] for one in fields),
        second[1] if second else frozenset({0}),
        minute[1],
        hour[1],
        lambda at: at.day in day[1] and at.month in month[1] and at.isoweekday() % 7 in weekday[1],
        any(one[2] for one in times),
    )


_WEEKDAYS = st.sampled_from(["mon", "tue", "wednesday", "thu", "fri", "Sat", "sunday"])
_MONTHS = st.sampled_from(["jan", "february", "mar", "may", "june", "sep", "nov", "dec"])
_TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)) | st.sampled_from(
    ["9am", "12pm", "noon", "midnight", "6:30pm", "23:59:59", "hour 2", "minute 30", "second 15"]
)
_DAYS = st.integers(1, 31).map("{}th".format) | st.sampled_from(
    [
        "LastDay",
        "LastDay - 3",
        "FirstMon",
        "second tuesday",
        "fifth fri",
        "LastWeekday",
        "ClosestWeekdayTo 15",
    ]
)
_DATES = st.sampled_from(
    ["dec-25", "feb-29", "2027-03-28", "jan-01 10:00", "2026-11-01", "mon 10:00", "1st 3am"]
)
_VALUES = st.one_of(
    _WEEKDAYS, _MONTHS, _TIMES, _DAYS, _DATES, st.sampled_from(["mon-fri", "nov-feb", "weekdays"])
)
_UNITS = st.sampled_from(["second", "minutes", "hours", "days", "week", "months", "years"])


def _listed(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"[{', '.join(values)}]"


_SAME = st.one_of(*(st.lists(one, min_size=1, max_size=3) for one in (_WEEKDAYS, _MONTHS, _TIMES, _DAYS)))
_CADENCES = st.one_of(
    st.builds("every {} {}".format, st.sampled_from([1, 1, 1, 2, 3, 5, 7, 12, 45, 90, 1000]), _UNITS),
    st.lists(_WEEKDAYS, min_size=1, max_size=3).map(lambda days: "every " + ", ".join(days)),
    st.sampled_from(["every weekday", "every weekend", "hourly", "daily", "monthly", "every 2 weeks"]),
    st.sampled_from(
        ["every 5 minutes AnchoredOn 2", "every 3 hours AnchoredAt 1", "every 2 months AnchoredOn jul"]
    ),
    st.sampled_from(
        ["every 10 days AnchoredOn 5", "every 40 days AnchoredOn 3", "every 2 weeks AnchoredOn fri"]
    ),
)
_POINTS = _SAME.map(lambda values: f"on {_listed(values)}") | _VALUES.map("at {}".format)
_WINDOWS = st.one_of(
    *(st.builds("between {} and {}".format, one, one) for one in (_WEEKDAYS, _MONTHS, _TIMES, _DAYS)),
    st.builds("from {}".format, _VALUES),
    st.builds("upto {}".format, _VALUES),
)
_REST = st.one_of(
    _VALUES.map("except {}".format),
    st.builds("except between {} and {}".format, _TIMES, _TIMES),
    st.just("starting 2026-10-31 22:15"),
    st.just("until 2027-05-05"),
)


@st.composite
def naturals(draw: st.DrawFn) -> str:
    """A natural expression that is often, but not always, one."""
    cadence = draw(st.one_of(st.none(), _CADENCES, _CADENCES, _CADENCES))
    clauses = [] if cadence is None else [cadence]
    clauses += draw(st.lists(_POINTS, min_size=0 if clauses else 1, max_size=2))
    if cadence is not None:
        clauses += draw(st.lists(_WINDOWS, max_size=2))
    clauses += draw(st.lists(_REST, max_size=1))
    return " ".join(draw(st.permutations(clauses)))


@st.composite
def rrules(draw: st.DrawFn) -> str:
    """An RRULE of a day or more that python-dateutil reads the same way."""
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}"]
    interval = draw(st.sampled_from([1, 1, 2, 3, 4]))
    if interval > 1:
        parts.append(f"INTERVAL={interval}")
    if draw(st.booleans()):
        parts.append("BYMONTH=" + _numbers(draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))))
    days = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1, max_size=4)
    by_day = draw(st.booleans())
    if by_day:
        names = draw(days)
        if frequency in ("MONTHLY", "YEARLY") and draw(st.booleans()):
            names = [f"{draw(st.sampled_from(['1', '2', '-1', '3', '-2']))}{name}" for name in names]
        parts.append("BYDAY=" + ",".join(names))
    if frequency != "WEEKLY" and draw(st.booleans()):
        numbers = st.lists(st.integers(1, 31) | st.integers(-5, -1), min_size=1, max_size=4)
        parts.append("BYMONTHDAY=" + _numbers(draw(numbers)))
    if frequency == "YEARLY" and draw(st.integers(0, 3)) == 0:
        parts.append(
            "BYYEARDAY=" + _numbers(draw(st.lists(st.sampled_from([1, 60, 100, 366, -1, -60]))) or [200])
        )
    if (
        frequency == "YEARLY"
        and by_day
        and "BYDAY=" in parts[-1]
        and parts[-1][6:8].isalpha()
        and draw(st.booleans())
    ):
        parts.append("BYWEEKNO=" + _numbers(draw(st.lists(st.sampled_from([2, 10, 20, 40]), min_size=1))))
    if draw(st.booleans()):
        parts.append("BYHOUR=" + _numbers(draw(st.lists(st.integers(0, 23), min_size=1, max_size=3))))
    if any(part.startswith("BY") for part in parts) and draw(st.booleans()):
        parts.append("BYSETPOS=" + _numbers(draw(st.lists(st.sampled_from([1, 2, 3, -1, -2]), min_size=1))))
    if draw(st.booleans()) and "BYWEEKNO" not in str(parts):
        parts.append("WKST=" + draw(st.sampled_from(["MO", "SU", "WE"])))
    return ";".join(parts)


def _numbers(values: list[int]) -> str:
    return ",".join(str(value) for value in sorted(set(values)))
