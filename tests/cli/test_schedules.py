"""``jobmaster schedules``: looking at schedules, changing them, explaining expressions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobmaster import ClusterConfig, Scheduler
from tests.cli.conftest import Project
from tests.databases import use

AT_APP = ("--cluster", "app:cluster")


@pytest.fixture
def scheduler(project: Project) -> Iterator[Scheduler]:
    """The project's scheduler, in this process."""
    cluster = use(ClusterConfig("app"), project.url).add_handlers().build()
    yield cluster.scheduler
    cluster.close()


def test_schedules_are_listed_shown_and_changed(project: Project, scheduler: Scheduler) -> None:
    run = project.run
    scheduler.recurring("hello", "0 9 * * *", {"name": "John"}, id="morning", time_zone="Asia/Tokyo")
    scheduler.recurring("hello", "@hourly", id="hourly")
    listed = run("schedules", "list", "--json", *AT_APP).json
    assert [one["id"] for one in listed["schedules"]] == ["hourly", "morning"]
    assert listed["next_cursor"] is None
    page = run("schedules", "list", "--limit", "1", *AT_APP).out
    assert "more: --cursor hourly" in page
    assert "morning" in run("schedules", "list", "--cursor", "hourly", *AT_APP).out
    shown = run("schedules", "show", "morning", "--json", "-n", "2", *AT_APP).json
    assert (shown["expression"], shown["data"]) == ("TZ=Asia/Tokyo 0 9 * * *", {"name": "John"})
    assert [instant[11:16] for instant in shown["coming"]] == ["00:00", "00:00"]
    assert "Asia/Tokyo" in run("schedules", "show", "morning", *AT_APP).out

    assert run("schedules", "pause", "morning", *AT_APP).out == "morning is paused\n"
    again = run("schedules", "pause", "morning", *AT_APP)
    assert (again.code, again.sentence) == (2, "schedule 'morning' is paused already")
    assert run("schedules", "list", "-s", "paused", "--json", *AT_APP).json["schedules"][0]["id"] == "morning"
    assert run("schedules", "resume", "morning", *AT_APP).out.startswith("morning is active, next at ")
    again = run("schedules", "resume", "morning", *AT_APP)
    assert (again.code, again.sentence) == (2, "schedule 'morning' is not paused but active")

    job_id = run("schedules", "run-now", "morning", *AT_APP).out.strip()
    assert run("jobs", "show", job_id, "--json", *AT_APP).json["schedule_id"] == "morning"
    assert run("schedules", "cancel", "morning", *AT_APP).out == "morning is cancelled\n"
    gone = run("schedules", "cancel", "morning", *AT_APP)
    assert (gone.code, gone.sentence) == (2, "there is no schedule 'morning'")
    gone = run("schedules", "show", "morning", *AT_APP)
    assert (gone.code, gone.sentence) == (
        2,
        "no schedule 'morning': it never existed here, or it was cancelled",
    )


def test_instants_at_the_ends_of_the_calendar_are_refused(project: Project) -> None:
    for after in ("0001-01-01T00:00+10:00", "9999-12-31T23:00Z"):
        refused = project.run("schedules", "next", "every 1 second", "--after", after, "--tz", "Asia/Tokyo")
        assert (refused.code, refused.sentence) == (2, f"--after '{after}' is outside of the years 2 to 9998")
    early = project.run("schedules", "next", "30 2 * * *", "--after", "0002-01-01T00:00Z", "-n", "1").out
    assert "0002-01-01 02:30:00Z  0002-01-01 02:30:00+00:00" in early


def test_an_empty_list_says_so(project: Project) -> None:
    assert project.run("schedules", "list", *AT_APP).out == "no schedules\n"
    wrong = project.run("schedules", "list", "-s", "asleep", *AT_APP)
    assert (wrong.code, wrong.sentence) == (
        2,
        "status must be one of 'active', 'paused', 'ended', not 'asleep'",
    )


def test_an_expression_is_explained_without_a_cluster(project: Project) -> None:
    done = project.run(
        "schedules", "next", "30 2 * * *", "--tz", "Europe/Berlin", "--after", "2026-03-28T12:00Z", "-n", "2"
    )
    assert done.out.splitlines() == [
        "At 02:30, Europe/Berlin",
        "kind        cron",
        "expression  TZ=Europe/Berlin 30 2 * * *",
        "time zone   Europe/Berlin",
        "classes     fixed, hour-restricted",
        "next        2026-03-29 01:00:00Z  2026-03-29 03:00:00+02:00  (02:30 does not exist; moved to 03:00)",
        "next        2026-03-30 00:30:00Z  2026-03-30 02:30:00+02:00",
    ]
    told = project.run("schedules", "next", "every 90 minutes", "--json", "-n", "3").json
    assert (told["kind"], len(told["occurrences"])) == ("natural", 3)
    never = project.run("schedules", "next", "on 2020-01-01 at 09:00")
    assert "none in 50 years" in never.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["every 5 minuts"], 'column 9: unknown word "minuts"; did you mean "minutes"?'),
        (["0 0 31 2 *"], "column 5: no month has such a date, so this never fires"),
        (["@daily", "--tz", "Europe/Pariss"], None),
        (["@daily", "--after", "tomorrow"], "--after 'tomorrow' is not an instant such as 2026-03-08T00:00Z"),
        (
            ["@daily", "--after", "2026-03-08"],
            "--after '2026-03-08' names no offset: write 2026-03-08T00:00:00Z for UTC",
        ),
        (
            ["@daily", "--after", "2026-03-08T00:00"],
            "--after '2026-03-08T00:00' names no offset: write 2026-03-08T00:00:00Z for UTC",
        ),
    ],
)
def test_a_wrong_expression_is_one_sentence(
    project: Project, arguments: list[str], sentence: str | None
) -> None:
    done = project.run("schedules", "next", *arguments)
    assert done.code == 2
    assert "\n" not in done.sentence
    assert sentence is None or done.sentence == sentence
    assert sentence is not None or done.sentence.startswith("unknown time zone 'Europe/Pariss'")
