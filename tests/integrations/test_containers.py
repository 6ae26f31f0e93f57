"""Handlers built by dishka and svcs: one scope for each run, closed after it, on the loop and in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import dishka
import pytest
import svcs

from jobmaster import ClusterConfig, ConfigurationError, Job, JobContext, JobHandler, JobRequest, job
from jobmaster.integrations import dishka as from_dishka
from jobmaster.integrations import svcs as from_svcs
from jobmaster.integrations.runscope import RunScopes
from jobmaster.testing.inline import run_inline
from tests.integrations.jobs import configure


class Session:
    """A connection, say: made and closed once for each run."""

    def __init__(self, made: list[Session], number: int) -> None:
        self.number = number
        self.thread = threading.current_thread().name
        self.closed_in: str | None = None
        made.append(self)

    def close(self) -> None:
        assert self.closed_in is None
        self.closed_in = threading.current_thread().name


class Orders:
    def __init__(self, session: Session) -> None:
        self.session = session


class Invoices:
    def __init__(self, session: Session) -> None:
        self.session = session


def told(orders: Orders, invoices: Invoices) -> list[Any]:
    """The number of the session, whether it is shared and open, and the thread it was made in."""
    session = orders.session
    return [session.number, session is invoices.session and session.closed_in is None, session.thread]


class OnLoop(JobHandler, definition_id="on-loop", max_retries=0):
    def __init__(self, orders: Orders, invoices: Invoices) -> None:
        self.orders, self.invoices = orders, invoices

    async def handle(self, job: JobContext[Any]) -> list[Any]:
        await asyncio.sleep(0.01)
        return told(self.orders, self.invoices)


class InThread(JobHandler, definition_id="in-thread-class", max_retries=0):
    def __init__(self, orders: Orders, invoices: Invoices, *, retries: int = 3) -> None:
        self.orders, self.invoices = orders, invoices

    def handle(self, job: JobContext[Any]) -> list[Any]:
        return told(self.orders, self.invoices)


@job("function-on-loop", max_retries=0)
async def on_loop(job: JobContext[Any], orders: Orders, invoices: Invoices) -> list[Any]:
    await asyncio.sleep(0.01)
    return told(orders, invoices)


@job("function-in-thread", max_retries=0)
def in_thread(job: JobContext[Any], orders: Orders, invoices: Invoices) -> list[Any]:
    return told(orders, invoices)


class Fails(JobHandler, definition_id="fails", max_retries=0):
    def __init__(self, orders: Orders) -> None:
        self.orders = orders

    def handle(self, job: JobContext[Any]) -> None:
        raise ValueError("no")


HANDLERS: list[Any] = [OnLoop, InThread, on_loop, in_thread]


class Made:
    """Sessions made so far, and what makes them."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []

    def sync(self) -> Iterator[Session]:
        session = Session(self.sessions, len(self.sessions))
        try:
            yield session
        finally:
            session.close()

    async def awaited(self) -> AsyncIterator[Session]:
        await asyncio.sleep(0)
        session = Session(self.sessions, len(self.sessions))
        try:
            yield session
        finally:
            session.close()


def provider(made: Made, asynchronous: bool) -> dishka.Provider:
    given = dishka.Provider(scope=dishka.Scope.REQUEST)
    given.provide(made.awaited if asynchronous else made.sync, provides=Session)
    given.provide(Orders)
    given.provide(Invoices)
    return given


@contextmanager
def dishka_sync(made: Made) -> Iterator[RunScopes]:
    with dishka.make_container(provider(made, False), lock_factory=threading.Lock) as container:
        yield from_dishka.resolver(container)


@contextmanager
def dishka_async(made: Made) -> Iterator[RunScopes]:
    container = dishka.make_async_container(provider(made, True), lock_factory=asyncio.Lock)
    yield from_dishka.resolver(container)
    asyncio.run(container.close())


def registry(made: Made, asynchronous: bool) -> svcs.Registry:
    given = svcs.Registry()
    given.register_factory(Session, made.awaited if asynchronous else made.sync)
    if asynchronous:
        given.register_factory(Orders, orders_async)
        given.register_factory(Invoices, invoices_async)
    else:
        given.register_factory(Orders, lambda svcs_container: Orders(svcs_container.get(Session)))
        given.register_factory(Invoices, lambda svcs_container: Invoices(svcs_container.get(Session)))
    return given


async def orders_async(svcs_container: svcs.Container) -> Orders:
    return Orders(await svcs_container.aget(Session))


async def invoices_async(svcs_container: svcs.Container) -> Invoices:
    return Invoices(await svcs_container.aget(Session))


@contextmanager
def svcs_sync(made: Made) -> Iterator[RunScopes]:
    with registry(made, False) as given:
        yield from_svcs.resolver(given)


@contextmanager
def svcs_async(made: Made) -> Iterator[RunScopes]:
    with registry(made, True) as given:
        yield from_svcs.resolver(given, asynchronous=True)


def run_all(folder: Path, resolver: RunScopes, *handlers: Any, times: int = 1) -> list[Job]:
    config = configure(folder, *set(handlers)).resolve_with(resolver).add_worker(concurrency=4)
    with config.build() as cluster:
        requests = [JobRequest(handler) for _ in range(times) for handler in handlers]
        queued = cluster.scheduler.once_many(requests)
        return [cluster.scheduler.wait(job.id, timeout=20) for job in queued]


@pytest.mark.parametrize("kind", [dishka_sync, dishka_async, svcs_sync, svcs_async])
def test_one_scope_for_each_run(kind: Callable[[Made], Any], folder: Path) -> None:
    made = Made()
    with kind(made) as resolver:
        ended = run_all(folder, resolver, *HANDLERS, times=10)
    assert [str(job.error) for job in ended if job.error is not None] == []
    results = [job.result for job in ended]
    assert all(whole for _, whole, _ in results)
    assert sorted(number for number, _, _ in results) == list(range(40))
    assert len(made.sessions) == 40
    assert [session.number for session in made.sessions if session.closed_in != session.thread] == []
    in_threads = [
        thread.startswith("jobmaster-worker-1") for job, (_, _, thread) in zip(ended, results, strict=True)
        if job.definition_id in ("in-thread-class", "function-in-thread")
    ]  # fmt: skip
    assert in_threads == [kind in (dishka_sync, svcs_sync)] * 20
    on_loops = {
        thread for job, (_, _, thread) in zip(ended, results, strict=True) if "loop" in job.definition_id
    }
    assert on_loops == {"jobmaster-web"}


@pytest.mark.parametrize("kind", [dishka_sync, dishka_async, svcs_sync, svcs_async])
def test_a_run_that_fails_closes_its_scope(kind: Callable[[Made], Any], folder: Path) -> None:
    made = Made()
    with kind(made) as resolver:
        (ended,) = run_all(folder, resolver, Fails)
    assert ended.error is not None
    assert ended.error.type == "ValueError"
    (session,) = made.sessions
    assert session.closed_in == session.thread


class Given(JobHandler, definition_id="given"):
    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    async def handle(self, job: JobContext[Any]) -> str:
        return self.greeting


async def test_a_handler_that_the_container_provides_comes_from_it() -> None:
    given = dishka.Provider(scope=dishka.Scope.REQUEST)
    given.provide(lambda: Given("from dishka"), provides=Given)
    container = dishka.make_async_container(given)
    config = ClusterConfig("shop").add_handlers(Given).resolve_with(from_dishka.resolver(container))
    assert (await run_inline(config, Given)).result == "from dishka"
    await container.close()
    with svcs.Registry() as registered:
        registered.register_factory(Given, lambda: Given("from svcs"))
        config = ClusterConfig("shop").add_handlers(Given).resolve_with(from_svcs.resolver(registered))
        assert (await run_inline(config, Given)).result == "from svcs"


@job("components")
async def components(
    job: JobContext[Any],
    plain: dishka.FromDishka[int],
    other: Annotated[int, dishka.FromComponent("other")],
) -> list[int]:
    return [plain, other]


async def test_dishka_components_and_markers() -> None:
    plain = dishka.Provider(scope=dishka.Scope.APP)
    plain.provide(lambda: 1, provides=int)
    other = dishka.Provider(scope=dishka.Scope.APP, component="other")
    other.provide(lambda: 2, provides=int)
    with dishka.make_container(plain, other) as container:
        config = ClusterConfig("shop").add_handlers(components).resolve_with(from_dishka.resolver(container))
        assert (await run_inline(config, components)).result == [1, 2]


async def test_dishka_enters_the_scope_asked_for() -> None:
    deep = dishka.Provider(scope=dishka.Scope.STEP)
    deep.provide(lambda: "deep", provides=str)
    with dishka.make_container(deep) as container:
        resolver = from_dishka.resolver(container, scope=dishka.Scope.STEP)
        config = ClusterConfig("shop").add_handlers(Given).resolve_with(resolver)
        assert (await run_inline(config, Given)).result == "deep"


async def test_what_the_container_lacks_fails_the_run_with_its_error() -> None:
    with svcs.Registry() as registered:
        config = ClusterConfig("shop").add_handlers(Given).resolve_with(from_svcs.resolver(registered))
        with pytest.raises(svcs.exceptions.ServiceNotFoundError):
            await run_inline(config, Given)


class Bare(JobHandler, definition_id="bare"):
    def __init__(self, greeting) -> None:  # type: ignore[no-untyped-def]
        self.greeting = greeting

    async def handle(self, job: JobContext[Any]) -> None:
        raise AssertionError("it was built from nothing")


async def test_a_parameter_without_annotation_is_named() -> None:
    with svcs.Registry() as registered:
        config = ClusterConfig("shop").add_handlers(Bare).resolve_with(from_svcs.resolver(registered))
        with pytest.raises(
            ConfigurationError, match="Bare: the annotation of parameter 'greeting' is missing"
        ):
            await run_inline(config, Bare)
