"""How handlers are found, checked and named."""

from __future__ import annotations

import gc
import logging
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic

import pytest
from pydantic import BaseModel
from typing_extensions import TypeVar

from jobmaster.domain.plaindata import PlainData
from jobmaster.domain.retry import Retry
from jobmaster.domain.status import Priority
from jobmaster.errors import InvalidJob, UnknownHandler
from jobmaster.handlers import HandlerRegistry, JobContext, JobHandler, job
from jobmaster.handlers.handler import payload_argument
from jobmaster.payload import JsonCodecs
from tests.unit.handlers.runs import problems_of, registry_of

Base = TypeVar("Base", bound=BaseModel)


class Args(BaseModel):
    url: str


@dataclass
class Coordinates:
    x: int


class Full(
    JobHandler[Args],
    definition_id="registry-full",
    timeout=timedelta(seconds=30),
    max_retries=5,
    retry=Retry.exponential(initial=5, maximum=300, jitter=True),
    priority=Priority.HIGH,
    lane="images",
    metadata={"team": "media"},
    execution="thread",
):
    def handle(self, job: JobContext[Args]) -> None: ...


class Child(Full, definition_id="registry-child", timeout=5):
    pass


class Bare(JobHandler):
    async def handle(self, job: JobContext) -> None: ...


class Template(JobHandler[Base], ABC, Generic[Base]):
    @abstractmethod
    def part(self) -> str: ...

    def handle(self, job: JobContext[Base]) -> str:
        return self.part()


class Filled(Template[Args], definition_id="registry-filled"):
    def part(self) -> str:
        return "x"


def test_options_are_as_declared_and_absent_ones_are_none() -> None:
    registry = registry_of(Full, Bare)
    full = registry.get("registry-full")
    assert full is not None
    options = full.options
    assert options.timeout == timedelta(seconds=30)
    assert options.max_retries == 5
    assert options.retry == Retry.exponential(initial=5, maximum=300, jitter=True)
    assert options.priority is Priority.HIGH
    assert options.lane == "images"
    assert options.metadata == {"team": "media"}
    assert full.kind == "thread"
    bare = registry.get(f"{__name__}.Bare")
    assert bare is not None
    assert {
        getattr(bare.options, name) for name in ("timeout", "max_retries", "retry", "priority", "lane")
    } == {None}


def test_a_subclass_inherits_options_but_not_the_id() -> None:
    registry = registry_of(Full, Child)
    child = registry.get("registry-child")
    assert child is not None
    assert child.options.timeout == timedelta(seconds=5)
    assert child.options.max_retries == 5
    assert child.options.lane == "images"

    class Nameless(Full):
        pass

    (bound,) = registry_of(Nameless)
    assert bound.definition_id.endswith("Nameless")


def test_a_handler_without_id_is_advised_to_have_one() -> None:
    registry = registry_of(Bare, Full)
    (advice,) = registry.advice
    assert f"{__name__}.Bare has no definition_id" in advice


def test_what_a_caller_names_is_resolved() -> None:
    @job("send")
    async def send(job: JobContext) -> None: ...

    registry = registry_of(Full, send)
    assert registry.resolve(Full) == ("registry-full", registry.get("registry-full"))
    assert registry.resolve(send) == ("send", registry.get("send"))
    assert registry.resolve("registry-full") == ("registry-full", registry.get("registry-full"))
    assert registry.resolve("elsewhere") == ("elsewhere", None)
    assert len(registry) == 2


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (Bare, "Bare is not registered with this cluster"),
        (job("other")(lambda job: None), "<lambda> is not registered"),
        (test_what_a_caller_names_is_resolved, "is a plain function: @job makes it a handler"),
        (5, "5 is no handler"),
        ([], r"\[\] is no handler"),
    ],
)
def test_what_is_not_registered_is_unknown(handler: object, message: str) -> None:
    with pytest.raises(UnknownHandler, match=message):
        registry_of(Full).resolve(handler)


def test_payload_types_are_found_through_bases_and_annotations() -> None:
    class Middle(Template[Base], Generic[Base]):
        pass

    class Last(Middle[Args]):
        def part(self) -> str:
            return ""

    class Plain(JobHandler[PlainData]): ...

    class Mapped(JobHandler[dict[str, Any]]): ...

    class Numbered(JobHandler[dict[str, int]]): ...

    assert payload_argument(Full) is Args
    assert payload_argument(Child) is Args
    assert payload_argument(Filled) is Args
    assert payload_argument(Last) is Args
    assert payload_argument(Bare) is None
    assert payload_argument(Plain) is None
    assert payload_argument(Mapped) is None
    assert payload_argument(Numbered) == dict[str, int]


def test_a_payload_type_of_a_local_scope_is_found_in_the_annotation() -> None:
    class Local(BaseModel):
        a: int

    @job("local")
    async def local(job: JobContext[Local]) -> None: ...

    class LocalHandler(JobHandler, definition_id="local-handler"):
        async def handle(self, job: JobContext[Local]) -> None: ...  # type: ignore[override]

    for bound in registry_of(local, LocalHandler):
        assert bound.encode({"a": "5"}) == '{"a":5}'
        with pytest.raises(InvalidJob, match=r"data\.a"):
            bound.encode({})


def test_data_left_out_is_an_empty_mapping() -> None:
    registry = registry_of(Bare, Full)
    assert registry.resolve(Bare)[1].encode(None) == "{}"  # type: ignore[union-attr]
    with pytest.raises(InvalidJob, match=r"data\.url: Field required"):
        registry.resolve(Full)[1].encode(None)  # type: ignore[union-attr]


def test_every_fault_of_the_options_is_told() -> None:
    class WrongOptions(
        JobHandler,
        definition_id="wrong\n",
        timeout=-1,
        max_retries=-1,
        retry="often",  # type: ignore[arg-type]
        priority=9,  # type: ignore[arg-type]
        lane="no lane",
        metadata=[1],  # type: ignore[arg-type]
        execution="fiber",  # type: ignore[arg-type]
    ):
        async def handle(self, job: JobContext) -> None: ...

    problems = problems_of(WrongOptions)
    assert len(problems) == 8
    for fragment in (
        "definition id 'wrong\\n' holds control characters",
        "timeout must be between",
        "max_retries must be an integer",
        "retry must be made by Retry",
        "priority must be one of Priority.VERY_LOW",
        "lane 'no lane' is not a valid name",
        "metadata must be a mapping",
        "execution must be 'auto', 'thread' or 'process'",
    ):
        assert any(fragment in problem for problem in problems), fragment
    name = f"{__name__}.{WrongOptions.__qualname__}"
    assert all(problem.startswith(f"handler {name}: ") for problem in problems)


def test_metadata_that_cannot_be_stored_is_a_fault() -> None:
    @job("meta", metadata={"a": {1, 2}})
    async def meta(job: JobContext) -> None: ...

    (problem,) = problems_of(meta)
    assert "metadata.a: set is no JSON value" in problem


def test_signatures_that_cannot_be_called_are_faults() -> None:
    @job("none")
    async def none() -> None: ...

    @job("generator")
    def generator(job: JobContext) -> Iterator[int]:
        yield 1

    @job("stream")
    async def stream(job: JobContext) -> AsyncIterator[int]:
        yield 1

    @job("other")
    async def other(job: int) -> None: ...

    class NoJob(JobHandler, definition_id="no-job"):
        async def handle(self) -> None: ...  # type: ignore[override]

    class TooMany(JobHandler, definition_id="too-many"):
        async def handle(self, job: JobContext, more: int) -> None: ...  # type: ignore[override]

    class AsyncRetry(JobHandler, definition_id="async-retry"):
        async def handle(self, job: JobContext) -> None: ...

        async def should_retry(self, error: BaseException, job: JobContext) -> bool:  # type: ignore[override]
            return True

    problems = "\n".join(problems_of(none, generator, stream, other, NoJob, TooMany, AsyncRetry))
    for fragment in (
        "none: the function takes no job",
        "generator: the function is a generator",
        "stream: the function is a generator",
        "other: the first parameter 'job' is the job: annotate it as JobContext",
        "NoJob: handle takes no job",
        "TooMany: handle takes the job only, not more",
        "AsyncRetry: should_retry must be a plain function",
    ):
        assert fragment in problems


def test_loose_signatures_are_fine() -> None:
    @job("any")
    async def anything(job: Any) -> None: ...

    @job("bare")
    async def bare(job) -> None: ...  # type: ignore[no-untyped-def]

    @job("star")
    async def star(*args: object) -> None: ...

    @job("defaulted")
    async def defaulted(job: JobContext, retries: int = 3) -> None: ...

    assert len(registry_of(anything, bare, star, defaulted)) == 4


def test_a_payload_type_that_cannot_be_one_is_a_fault() -> None:
    class Opaque:
        pass

    class Wrong(JobHandler[Opaque], definition_id="wrong"):
        async def handle(self, job: JobContext[Opaque]) -> None: ...

    @job("unresolved")
    async def unresolved(job: JobContext[Nowhere]) -> None: ...  # type: ignore[name-defined] # noqa: F821

    problems = "\n".join(problems_of(Wrong, unresolved))
    assert "Opaque cannot be a payload type" in problems
    assert "'JobContext[Nowhere]' cannot be resolved" in problems


def test_two_handlers_with_one_id_are_named() -> None:
    @job("registry-full")
    async def twin(job: JobContext) -> None: ...

    (problem,) = problems_of(Full, twin)
    assert problem.startswith("definition id 'registry-full' belongs to several handlers: ")
    assert f"{__name__}.Full" in problem
    assert "twin" in problem
    assert problems_of(Full, Full) == []


@pytest.mark.parametrize("wrong", [5, "registry-full", object, JobHandler, Template, len])
def test_only_handlers_are_taken(wrong: object) -> None:
    (problem,) = problems_of(wrong)
    assert problem.startswith("add_handlers: ")


def discovered() -> HandlerRegistry:
    return HandlerRegistry(None, codecs=JsonCodecs())


def test_without_a_list_every_concrete_handler_alive_is_found() -> None:
    class Here(JobHandler, definition_id="discovered-here"):
        async def handle(self, job: JobContext) -> None: ...

    @job("discovered-function")
    async def function(job: JobContext) -> None: ...

    found = discovered()
    assert found.get("discovered-here") is not None
    assert found.get("discovered-function") is not None
    assert found.get("registry-filled") is not None
    names = {bound.name for bound in found}
    assert not any(name.endswith((".Template", ".JobHandler")) for name in names)


def test_classes_that_nobody_holds_do_not_count_as_duplicates() -> None:
    def declare() -> weakref.ref[type]:
        class Fleeting(JobHandler, definition_id="fleeting"):
            async def handle(self, job: JobContext) -> None: ...

        return weakref.ref(Fleeting)

    gc.disable()
    try:
        first, second = declare(), declare()
        assert first() is not None
        assert second() is not None
        assert not [problem for problem in discovered().problems if "fleeting" in problem]
    finally:
        gc.enable()


def test_a_redefined_class_replaces_the_former(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("notebook_cells")
    monkeypatch.setitem(sys.modules, "notebook_cells", module)
    cell = (
        "from jobmaster.handlers import JobContext, JobHandler, job\n"
        "@job('redefined-function')\n"
        "async def function(job): ...\n"
        "class Redefined(JobHandler, definition_id='redefined'):\n"
        "    async def handle(self, job: JobContext) -> None: ...\n"
    )
    exec(cell, module.__dict__)
    former = module.Redefined, module.function
    exec(cell, module.__dict__)
    found = discovered()
    for name, target in (("redefined", module.Redefined), ("redefined-function", module.function)):
        bound = found.get(name)
        assert bound is not None
        assert bound.target is target
        assert bound.target not in former


def test_parentheses_of_the_decorator_are_required() -> None:
    with pytest.raises(TypeError, match="with parentheses"):
        job(lambda job: None)  # type: ignore[arg-type]


def test_importing_handlers_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):

        class Quiet(JobHandler):
            async def handle(self, job: JobContext) -> None: ...

        registry_of(Quiet)
    assert caplog.records == []
