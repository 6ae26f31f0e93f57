"""Children that cannot be started, or that fail before they begin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from jobmaster.engine import childprocess
from jobmaster.engine.children import ChildDied, ChildRunner
from jobmaster.handlers import HandlerRegistry, RemoteHandlerError, Service
from jobmaster.payload import JsonCodecs
from tests.engine_children import programs
from tests.unit.handlers.runs import registry_of, run_of, site


async def test_what_keeps_a_process_from_starting_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", refuse)
    children = ChildRunner(1)
    registry = registry_of(programs.echo)
    for _ in range(2):
        run = run_of(registry, programs.echo, '{"text": 1}', at=site(children=children))
        with pytest.raises(OSError, match="no more processes"):
            await run.bound.invoke(run)
    await children.close()


def exit_at_once(*pipes: Any) -> None:
    """Stands for a child whose interpreter does not come up."""
    sys.exit(9)


async def test_children_that_die_before_they_begin_are_given_up_after_a_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(childprocess, "child_main", exit_at_once)
    children = ChildRunner(1)
    run = run_of(registry_of(programs.echo), programs.echo, '{"text": 1}', at=site(children=children))
    with pytest.raises(ChildDied, match="with exit code 9 before it began the run") as caught:
        await run.bound.invoke(run)
    assert caught.value.exitcode == 9
    await children.close()


async def test_a_handler_that_the_child_cannot_import_is_an_error_of_its_own_runs_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fleeting_handlers.py").write_text(
        "from jobmaster.handlers import JobContext, job\n"
        "@job('fleeting', execution='process')\n"
        "def fleeting(job: JobContext) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import fleeting_handlers  # type: ignore[import-not-found]

    registry = registry_of(programs.echo, fleeting_handlers.fleeting)
    (tmp_path / "fleeting_handlers.py").write_text("raise ImportError('gone')\n")
    children = ChildRunner(1)
    run = run_of(registry, "fleeting", at=site(children=children))
    with pytest.raises(RemoteHandlerError, match="gone") as caught:
        await run.bound.invoke(run)
    assert caught.value.job_error.type == "ImportError"
    run = run_of(registry, programs.echo, '{"text": 1}', at=site(children=children))
    assert await run.bound.invoke(run) == "1"
    await children.close()


async def test_a_service_that_cannot_be_built_is_an_error_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBMASTER_COUNTER_FILE", raising=False)
    registry = HandlerRegistry(
        [programs.Counts],
        codecs=JsonCodecs(),
        services=[
            Service(programs.Counter, programs.broken_counter),
            Service(programs.Session, programs.open_session, "job"),
        ],
    )
    children = ChildRunner(1)
    for _ in range(2):
        run = run_of(registry, programs.Counts, at=site(children=children))
        with pytest.raises(RemoteHandlerError, match="no counter here"):
            await run.bound.invoke(run)
    assert children.alive == 1
    await children.close()
