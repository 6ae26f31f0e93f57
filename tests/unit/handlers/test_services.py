"""What handlers are given by annotation: scopes, factories, order of opening and closing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Optional, Protocol

import pytest

from jobmaster.handlers import HandlerRegistry, JobContext, JobHandler, Service, job
from tests.unit.handlers.runs import invoke, problems_of, registry_of


class Settings:
    def __init__(self, name: str = "default") -> None:
        self.name = name


class Engine:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class Session:
    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine


class Storage(Protocol):
    def put(self, text: str) -> str: ...


class MemoryStorage:
    def put(self, text: str) -> str:
        return f"stored {text}"


class Journal:
    """Remembers what happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def factory(self, name: str, make: Callable[[], Any]) -> Callable[[], Iterator[Any]]:
        def generate() -> Iterator[Any]:
            self.lines.append(f"open {name}")
            try:
                yield make()
            except BaseException as error:
                self.lines.append(f"{name} saw {type(error).__name__}")
                raise
            finally:
                self.lines.append(f"close {name}")

        return generate

    def async_factory(self, name: str, make: Callable[[], Any]) -> Callable[[], AsyncIterator[Any]]:
        async def generate() -> AsyncIterator[Any]:
            await asyncio.sleep(0)
            self.lines.append(f"open {name}")
            yield make()
            await asyncio.sleep(0)
            self.lines.append(f"close {name}")

        return generate


class Uses(JobHandler, definition_id="services-uses"):
    def __init__(
        self,
        storage: Storage | None = None,
        settings: "Settings | None" = None,  # noqa: UP037
        engine: Optional[Engine] = None,  # noqa: UP045
    ) -> None:
        assert storage is not None
        assert settings is not None
        self.storage = storage
        self.settings = settings
        self.engine = engine

    async def handle(self, job: JobContext) -> list[object]:
        return [self.storage.put("x"), self.settings.name, self.engine is None]


async def opened_invoke(registry: HandlerRegistry, handler: object, times: int = 1) -> list[str | None]:
    await registry.open()
    try:
        return [await invoke(registry, handler) for _ in range(times)]
    finally:
        await registry.close()


async def test_constructor_parameters_are_filled_by_annotation() -> None:
    services = [Service(Storage, MemoryStorage()), Service(Settings, Settings("mine"))]
    assert await opened_invoke(registry_of(Uses, services=services), Uses) == ['["stored x","mine",true]']
    services.append(Service(Engine, Engine))
    assert await opened_invoke(registry_of(Uses, services=services), Uses) == ['["stored x","mine",false]']


async def test_further_parameters_of_a_job_function_are_filled_too() -> None:
    @job("takes")
    async def takes(
        job: JobContext, /, settings: Settings, storage: Annotated[Storage, "any"], *, more: int = 5
    ) -> list[object]:
        return [settings.name, storage.put("y"), more]

    @job("takes-positionally")
    def takes_positionally(job: JobContext, settings: Settings, /) -> str:
        return settings.name

    services = [Service(Storage, MemoryStorage()), Service(Settings, Settings())]
    registry = registry_of(takes, takes_positionally, services=services)
    assert await opened_invoke(registry, takes) == ['["default","stored y",5]']
    assert await opened_invoke(registry, takes_positionally) == ['"default"']


def make_settings() -> Settings:
    return Settings("function")


async def make_settings_async() -> Settings:
    await asyncio.sleep(0)
    return Settings("coroutine")


def yield_settings() -> Iterator[Settings]:
    yield Settings("generator")


async def yield_settings_async() -> AsyncIterator[Settings]:
    yield Settings("async generator")


@contextlib.contextmanager
def manage_settings() -> Iterator[Settings]:
    yield Settings("context manager")


@contextlib.asynccontextmanager
async def manage_settings_async() -> AsyncIterator[Settings]:
    yield Settings("async context manager")


class Managed(Settings):
    def __enter__(self) -> Managed:
        self.name = "entered"
        return self

    def __exit__(self, *_: object) -> None:
        self.name = "left"


@job("services-tells")
async def tells(job: JobContext, settings: Settings | None = None) -> str:
    assert settings is not None
    return settings.name


@job("services-tells-in-thread")
def tells_in_thread(job: JobContext, settings: Settings | None = None) -> str:
    assert settings is not None
    return settings.name


@pytest.mark.parametrize("scope", ["cluster", "job"])
@pytest.mark.parametrize("handler", [tells, tells_in_thread])
@pytest.mark.parametrize(
    ("factory", "name"),
    [
        (Settings, "default"),
        (make_settings, "function"),
        (make_settings_async, "coroutine"),
        (yield_settings, "generator"),
        (yield_settings_async, "async generator"),
        (manage_settings, "context manager"),
        (manage_settings_async, "async context manager"),
        (Managed, "entered"),
        (lambda: Settings("lambda"), "lambda"),
    ],
)
async def test_every_kind_of_factory_serves_in_both_scopes(
    factory: Any, name: str, handler: object, scope: Any
) -> None:
    registry = registry_of(tells, tells_in_thread, services=[Service(Settings, factory, scope)])
    assert await opened_invoke(registry, handler, times=2) == [f'"{name}"', f'"{name}"']


class Connector:
    """A factory that is an object, as SQLAlchemy's sessionmaker is one."""

    def __call__(self, settings: Settings) -> Session:
        session = Session()
        session.opened_for = settings.name  # type: ignore[attr-defined]
        return session


async def test_objects_partials_and_functions_written_in_c_are_factories() -> None:
    @job("needs-all")
    async def needs_all(job: JobContext, session: Session, engine: Engine, words: list[str]) -> list[object]:
        return [session.opened_for, engine.settings.name, words]  # type: ignore[attr-defined]

    services = [
        Service(Session, Connector(), "job"),
        Service(Engine, functools.partial(Engine, Settings("given")), "job"),
        Service(Settings, Settings("mine")),
        Service(list[str], list),
    ]
    registry = registry_of(needs_all, services=services)
    assert await opened_invoke(registry, needs_all) == ['["mine","given",[]]']


async def test_cluster_services_open_once_in_order_and_close_in_reverse() -> None:
    journal = Journal()

    async def engine(settings: Settings) -> AsyncIterator[Engine]:
        journal.lines.append(f"open engine of {settings.name}")
        yield Engine(settings)
        journal.lines.append("close engine")

    @job("journal")
    async def handler(job: JobContext, engine: Engine) -> None:
        journal.lines.append("run")

    services = [
        Service(Engine, engine),
        Service(Settings, journal.factory("settings", Settings)),
        Service(Storage, journal.factory("storage that nobody takes", MemoryStorage)),
    ]
    registry = registry_of(handler, services=services)
    expected = ["open settings", "open engine of default", "run", "run", "close engine", "close settings"]
    for _ in range(2):
        await opened_invoke(registry, handler, times=2)
        assert journal.lines == expected
        journal.lines.clear()


async def test_job_services_live_with_the_run_and_are_shared_within_it() -> None:
    journal = Journal()

    class Left:
        def __init__(self, session: Session) -> None:
            self.session = session

    @job("shares")
    async def shares(job: JobContext, left: Left, session: Session) -> bool:
        journal.lines.append("run")
        return left.session is session

    services = [
        Service(Left, Left, "job"),
        Service(Session, journal.async_factory("session", Session), "job"),
    ]
    registry = registry_of(shares, services=services)
    assert await opened_invoke(registry, shares, times=2) == ["true", "true"]
    assert journal.lines == ["open session", "run", "close session"] * 2


@pytest.mark.parametrize("sync", [False, True])
async def test_a_job_service_sees_the_error_of_its_run(sync: bool) -> None:
    journal = Journal()

    @job("fails")
    async def fails(job: JobContext, session: Session) -> None:
        raise LookupError

    @job("fails-in-thread")
    def fails_in_thread(job: JobContext, session: Session) -> None:
        raise LookupError

    services = [Service(Session, journal.factory("session", Session), "job")]
    registry = registry_of(fails, fails_in_thread, services=services)
    with pytest.raises(LookupError):
        await opened_invoke(registry, fails_in_thread if sync else fails)
    assert journal.lines == ["open session", "session saw LookupError", "close session"]


async def test_a_job_service_may_take_the_context() -> None:
    def session(job: JobContext, settings: Settings) -> Session:
        made = Session()
        made.tenant = job.data["tenant"] + settings.name  # type: ignore[attr-defined]
        return made

    @job("tenant")
    async def tenant(job: JobContext, session: Session) -> str:
        return str(session.tenant)  # type: ignore[attr-defined]

    registry = registry_of(
        tenant, services=[Service(Session, session, "job"), Service(Settings, Settings("!"))]
    )
    assert await invoke(registry, tenant, '{"tenant": "acme"}') == '"acme!"'


async def test_sync_factories_of_a_sync_handler_run_in_its_thread_and_async_ones_in_the_loop() -> None:
    where: dict[str, threading.Thread] = {}

    def session() -> Iterator[Session]:
        where["opened"] = threading.current_thread()
        yield Session()
        where["closed"] = threading.current_thread()

    async def settings() -> AsyncIterator[Settings]:
        where["async opened"] = threading.current_thread()
        yield Settings()
        where["async closed"] = threading.current_thread()

    @job("where")
    def handler(job: JobContext, session: Session, settings: Settings) -> None:
        where["ran"] = threading.current_thread()

    services = [Service(Session, session, "job"), Service(Settings, settings, "job")]
    await invoke(registry_of(handler, services=services), handler)
    here = threading.current_thread()
    assert where["ran"] is where["opened"] is where["closed"] is not here
    assert where["async opened"] is where["async closed"] is here


async def test_when_a_factory_fails_those_before_it_are_closed() -> None:
    journal = Journal()

    def broken(settings: Settings) -> Engine:
        raise OSError("no route")

    @job("needs")
    async def needs(job: JobContext, engine: Engine) -> None: ...

    services = [Service(Settings, journal.factory("settings", Settings)), Service(Engine, broken)]
    registry = registry_of(needs, services=services)
    with pytest.raises(OSError, match="no route"):
        await registry.open()
    assert journal.lines == ["open settings", "settings saw OSError", "close settings"]
    with pytest.raises(RuntimeError, match="Engine is not open"):
        await invoke(registry, needs)


async def test_a_resolver_replaces_the_services() -> None:
    asked: list[object] = []

    def resolve(kind: Any) -> object:
        asked.append(kind)
        return Uses(MemoryStorage(), Settings("resolved")) if kind is Uses else Settings("for a parameter")

    async def resolve_async(kind: Any) -> object:
        await asyncio.sleep(0)
        return resolve(kind)

    @job("needs-settings")
    async def needs(job: JobContext, settings: Settings, engine: Engine | None = None) -> list[object]:
        return [settings.name, engine]

    for resolver in (resolve, resolve_async):
        registry = registry_of(Uses, needs, resolver=resolver)
        assert await invoke(registry, Uses) == '["stored x","resolved",true]'
        assert await invoke(registry, needs) == '["for a parameter",null]'
    assert asked == [Uses, Settings] * 2


async def test_a_resolver_may_close_what_it_made_after_the_run() -> None:
    journal: list[str] = []

    @contextlib.asynccontextmanager
    async def resolve(kind: Any) -> AsyncIterator[object]:
        journal.append("made")
        yield Uses(MemoryStorage(), Settings())
        journal.append("closed")

    registry = registry_of(Uses, resolver=resolve)
    assert await invoke(registry, Uses) == '["stored x","default",true]'
    assert journal == ["made", "closed"]


async def test_what_a_resolver_returns_is_not_entered_by_chance() -> None:
    class Entered(JobHandler, definition_id="entered"):
        async def handle(self, job: JobContext) -> str:
            return "ran"

        def __enter__(self) -> None:
            raise AssertionError("a handler is no resource")

        def __exit__(self, *_: object) -> None:
            raise AssertionError("a handler is no resource")

    assert await invoke(registry_of(Entered, resolver=lambda kind: kind()), Entered) == '"ran"'


async def test_types_of_a_local_scope_resolve_from_text() -> None:
    class Local:
        pass

    class Handler(JobHandler, definition_id="handler"):
        def __init__(self, local: Local) -> None:
            self.local = local

        async def handle(self, job: JobContext) -> str:
            return type(self.local).__name__

    @job("function")
    async def function(job: JobContext, local: Local) -> str:
        return type(local).__name__

    class Outer:
        def __init__(self, local: Local) -> None:
            self.local = local

    @job("outer")
    async def outer(job: JobContext, outer: Outer) -> str:
        return type(outer.local).__name__

    registry = registry_of(
        Handler, function, outer, services=[Service(Local, Local()), Service(Outer, Outer, "job")]
    )
    for handler in (Handler, function, outer):
        assert await invoke(registry, handler) == '"Local"'


def test_what_no_service_satisfies_is_a_fault() -> None:
    class Bad(JobHandler, definition_id="bad"):
        def __init__(self, storage: Storage, settings: Settings, plain, lost: Nowhere) -> None: ...  # type: ignore[no-untyped-def, name-defined] # noqa: F821

        async def handle(self, job: JobContext) -> None: ...

    @job("bad-function")
    async def bad_function(job: JobContext, number: int) -> None: ...

    problems = problems_of(Bad, bad_function, services=[Service(Settings, Settings())])
    assert len(problems) == 4
    text = "\n".join(problems)
    for fragment in (
        "no service is added for parameter 'storage': Storage; add_service(Storage, ...) would",
        "parameter 'plain' has no annotation",
        "the annotation 'Nowhere' of parameter 'lost' cannot be resolved",
        "no service is added for parameter 'number': int",
    ):
        assert fragment in text


class Chicken:
    def __init__(self, egg: Egg) -> None: ...


class Egg:
    def __init__(self, chicken: Chicken) -> None: ...


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ([Service(Settings, 5)], "service Settings: 5 is neither an instance of it nor a factory"),
        ([Service(Settings, Settings(), "job")], "an instance cannot have scope 'job'"),
        ([Service(Settings, Settings, "run")], "scope must be 'cluster' or 'job', not 'run'"),  # type: ignore[arg-type]
        ([Service(Settings, Settings), Service(Settings, Settings)], "service Settings is added twice"),
        ([Service([], Settings)], "cannot be the type of a service"),
        (
            [Service(Engine, Engine)],
            "the factory of service Engine: no service is added for parameter 'settings'",
        ),
        (
            [Service(Engine, Engine), Service(Settings, Settings, "job")],
            "Engine lives with the cluster and cannot take Settings, which lives with a job",
        ),
        ([Service(Chicken, Chicken), Service(Egg, Egg)], "in a circle: Chicken → Egg → Chicken"),
        ([Service(Session, lambda job: 5)], "parameter 'job' has no annotation"),
    ],
)
def test_faults_of_services_are_told(services: list[Service], message: str) -> None:
    problems = problems_of(services=services)
    assert any(message in problem for problem in problems), problems


def test_a_cluster_service_cannot_take_the_context() -> None:
    def session(job: JobContext) -> Session:
        return Session()

    (problem,) = problems_of(services=[Service(Session, session)])
    assert problem == "service Session takes the job's context: it needs scope='job'"


def test_a_process_handler_needs_importable_services() -> None:
    def local_factory() -> Settings:
        return Settings()

    class LocalProcess(JobHandler, definition_id="local-process", execution="process"):
        def handle(self, job: JobContext) -> None: ...

    for services, message in [
        (
            [Service(Settings, Settings())],
            "service Settings cannot be used with execution='process': an object",
        ),
        (
            [Service(Settings, local_factory)],
            "the factory of service Settings cannot be used with execution=",
        ),
        ([Service(Settings, lambda: Settings())], "is defined inside a function, so it cannot be imported"),
    ]:
        (problem,) = problems_of(in_process, services=services)
        assert message in problem
    (problem,) = problems_of(LocalProcess)
    assert "defined inside a function" in problem
    (problem,) = problems_of(in_process, services=[Service(Settings, Settings)], resolver=lambda kind: kind())
    assert "the callable of resolve_with cannot be used with execution='process'" in problem
    assert problems_of(in_process, services=[Service(Settings, make_settings)]) == []


@job("services-in-process", execution="process")
def in_process(job: JobContext, settings: Settings | None = None) -> None: ...
