"""Middleware around handlers, whatever they run in."""

from __future__ import annotations

from typing import Any

import pytest

from jobmaster.handlers import CallNext, JobContext, Run, job
from tests.unit.handlers.runs import invoke, problems_of, registry_of, run_of, site


@job("middleware-number")
async def number(job: JobContext) -> int:
    return 5


@job("middleware-number-in-thread")
def number_in_thread(job: JobContext) -> int:
    return 5


@job("middleware-number-in-process", execution="process")
def number_in_process(job: JobContext) -> int:
    return 5


class Wrap:
    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines

    async def __call__(self, job: JobContext, call_next: CallNext) -> object:
        self.lines.append(f"{self.name} before {job.definition_id}")
        result = await call_next(job)
        self.lines.append(f"{self.name} after {result}")
        return result


@pytest.mark.parametrize("handler", [number, number_in_thread])
async def test_the_first_one_added_is_the_outermost(handler: Any) -> None:
    lines: list[str] = []
    registry = registry_of(handler, middleware=[Wrap("outer", lines), Wrap("inner", lines)])
    assert await invoke(registry, handler) == "5"
    name = registry.resolve(handler)[0]
    assert lines == [f"outer before {name}", f"inner before {name}", "inner after 5", "outer after 5"]


async def test_it_may_change_the_result_swallow_an_error_or_skip_the_handler() -> None:
    @job("fails")
    async def fails(job: JobContext) -> None:
        raise LookupError

    async def double(job: JobContext, call_next: CallNext) -> object:
        return [await call_next(), await call_next()]

    async def forgive(job: JobContext, call_next: CallNext) -> object:
        try:
            return await call_next()
        except LookupError:
            return "forgiven"

    async def skip(job: JobContext, call_next: CallNext) -> object:
        return None

    assert await invoke(registry_of(number, middleware=[double]), number) == "[5,5]"
    assert await invoke(registry_of(fails, middleware=[forgive]), fails) == '"forgiven"'
    assert await invoke(registry_of(fails, middleware=[skip]), fails) is None


class FakeChildren:
    """Answers for a child process with a stored result."""

    def __init__(self, text: str | None) -> None:
        self.text = text

    async def run(self, run: Run) -> str | None:
        return self.text


@pytest.mark.parametrize(("text", "seen"), [('{"a":[1]}', {"a": [1]}), (None, None)])
async def test_around_a_process_handler_it_sees_the_decoded_result(text: str | None, seen: object) -> None:
    results: list[object] = []

    async def look(job: JobContext, call_next: CallNext) -> object:
        results.append(await call_next())
        return results[-1]

    for middleware in ([], [look]):
        registry = registry_of(number_in_process, middleware=middleware)
        run = run_of(registry, number_in_process, at=site(children=FakeChildren(text)))
        assert await run.bound.invoke(run) == text
    assert results == [seen]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Wrap, "middleware Wrap is a class: give an object"),
        (5, "middleware 5 cannot be called"),
        (lambda job, call_next: None, "must be a coroutine function"),
    ],
)
def test_what_cannot_be_middleware_is_a_fault(wrong: object, message: str) -> None:
    (problem,) = problems_of(number, middleware=[wrong])
    assert message in problem
