"""Steps in code: what they set, and that ``build()`` tells of every fault at once."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobmaster.cluster.cluster import Cluster
from jobmaster.cluster.config import ClusterConfig
from jobmaster.cluster.settings import ClusterSettings, DatabaseSettings, WorkerSettings
from jobmaster.domain.events import Event
from jobmaster.domain.retry import Retry
from jobmaster.domain.status import ClusterMode, Priority, WorkerMode
from jobmaster.errors import ConfigurationError
from jobmaster.handlers import CallNext, HandlerRegistry, JobContext, JobHandler, job


class Handler(JobHandler, definition_id="config-tests"):
    async def handle(self, job: JobContext) -> None: ...


class Watcher:
    def on_event(self, event: Event) -> None: ...


class Built:
    """Takes the place of the cluster: what ``build()`` hands over."""

    def __init__(
        self, settings: ClusterSettings, registry: HandlerRegistry, observers: tuple[Any, ...], default: bool
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.observers = observers
        self.default = default


@pytest.fixture(autouse=True)
def nothing_but_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A built cluster would make itself the default of the process."""
    assert list(inspect.signature(Cluster).parameters)[:4] == ["settings", "registry", "observers", "default"]
    monkeypatch.setattr("jobmaster.cluster.cluster.Cluster", Built)


def build(config: ClusterConfig, *, workers: bool = True) -> Any:
    return config.add_handlers(Handler).build(workers=workers)


def settings_of(config: ClusterConfig) -> ClusterSettings:
    settings: ClusterSettings = build(config).settings
    return settings


def problems_of(config: ClusterConfig) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        build(config)
    return caught.value.problems


def config() -> ClusterConfig:
    return ClusterConfig("orders").use_sqlite("orders.db")


def test_a_database_is_enough_and_the_rest_is_as_documented() -> None:
    settings = settings_of(config())
    assert settings == ClusterSettings("orders", settings.database)
    assert settings.workers == ()
    assert settings.transient_threshold == timedelta(minutes=10)
    assert settings.default_job_timeout == timedelta(minutes=5)
    assert settings.default_max_retries == 3
    assert settings.default_retry == Retry.exponential(initial=10, maximum=600, jitter=True)
    assert settings.cluster_mode is ClusterMode.ACTIVE
    assert settings.max_message_bytes == 128 * 1024
    assert settings.time_zone == "UTC"
    assert settings.data_retention == timedelta(days=30)
    assert settings.lease == timedelta(seconds=15)
    assert settings.grace_period == timedelta(seconds=25)
    assert settings.operation_timeout == timedelta(seconds=10)
    assert settings.startup_timeout == timedelta(seconds=30)
    assert settings.max_losses == 5
    assert settings.debug_jsonl_directory is None
    assert settings.declared == frozenset()


def test_every_step_returns_the_config_and_sets_its_value() -> None:
    made = config()
    steps: list[tuple[str, Any, Any]] = [
        ("transient_threshold", timedelta(minutes=5), timedelta(minutes=5)),
        ("default_job_timeout", 90, timedelta(seconds=90)),
        ("default_max_retries", 0, 0),
        ("default_retry", Retry.none(), Retry.none()),
        ("cluster_mode", "passive", ClusterMode.PASSIVE),
        ("max_message_bytes", None, None),
        ("time_zone", "America/Sao_Paulo", "America/Sao_Paulo"),
        ("data_retention", None, None),
        ("lease", 2.5, timedelta(seconds=2.5)),
        ("grace_period", 0, timedelta(0)),
        ("operation_timeout", 5, timedelta(seconds=5)),
        ("startup_timeout", 0, timedelta(0)),
        ("max_losses", 0, 0),
    ]
    for name, given, _ in steps:
        assert getattr(made, name)(given) is made
    assert made.debug_jsonl_file_logger("logs") is made
    settings = settings_of(made)
    for name, _, expected in steps:
        assert getattr(settings, name) == expected, name
    assert settings.debug_jsonl_directory == Path("logs")
    assert settings.declared == {*(name for name, _, _ in steps), "debug_jsonl_directory"}
    assert all(hasattr(settings, name) for name in settings.declared)


def test_a_step_called_again_replaces_its_value_and_its_fault() -> None:
    assert settings_of(config().lease(5).lease(10)).lease == timedelta(seconds=10)
    assert settings_of(config().lease(-1).lease(10)).lease == timedelta(seconds=10)
    assert problems_of(config().lease(10).lease(-1)) == ("lease must be between 1 s and 1 h, not -1 s",)


WRONG: list[tuple[str, Any, str]] = [
    ("transient_threshold", 9, "transient_threshold must be between 10 s and 1 day, not 9 s"),
    ("transient_threshold", timedelta(days=2), "transient_threshold must be between"),
    ("default_job_timeout", 0, "default_job_timeout must be between"),
    (
        "default_job_timeout",
        "5 min",
        "default_job_timeout must be a timedelta or a number of seconds, not str",
    ),
    ("default_max_retries", -1, "default_max_retries must be a whole number from 0 to 10000, not -1"),
    ("default_max_retries", True, "default_max_retries must be a whole number"),
    ("default_retry", "often", "default_retry must be made by Retry"),
    ("cluster_mode", "sleepy", "cluster_mode must be one of 'active', 'passive', 'archived', not 'sleepy'"),
    ("max_message_bytes", 0, "max_message_bytes must be a whole number"),
    ("time_zone", "Mars/Olympus", "time_zone 'Mars/Olympus' is not known"),
    ("time_zone", "../../etc/passwd", "is not known"),
    ("time_zone", 5, "time_zone 5 is not known"),
    ("time_zone", "", "time_zone '' is not known"),
    ("data_retention", 0, "data_retention must be between"),
    ("lease", 0.5, "lease must be between 1 s and 1 h, not 0.5 s"),
    ("lease", timedelta(hours=2), "lease must be between 1 s and 1 h, not 2 h"),
    ("lease", float("nan"), "lease must be between"),
    ("grace_period", -1, "grace_period must be between 0 s and 1 h, not -1 s"),
    ("operation_timeout", 0, "operation_timeout must be between"),
    ("startup_timeout", -1, "startup_timeout must be between"),
    ("max_losses", 1.5, "max_losses must be a whole number"),
    ("table_prefix", "no-prefix", "table prefix 'no-prefix' must be an SQL identifier"),
    ("schema", "no schema", "schema 'no schema' must be an SQL identifier"),
    ("debug_jsonl_file_logger", 5, "debug_jsonl_file_logger takes a directory, not 5"),
    ("debug_jsonl_file_logger", "", "debug_jsonl_file_logger takes a directory"),
    ("add_observer", 5, "observer 5 has no on_event"),
    ("add_middleware", 5, "middleware 5 cannot be called"),
    ("resolve_with", 5, "resolve_with takes a callable, not 5"),
    ("add_handlers", 5, "add_handlers: 5 is no handler"),
]


@pytest.mark.parametrize(("step", "value", "message"), WRONG)
def test_a_wrong_value_is_a_problem_of_build_not_of_the_step(step: str, value: Any, message: str) -> None:
    made = config()
    assert getattr(made, step)(value) is made
    (problem,) = problems_of(made)
    assert message in problem


def test_all_faults_are_told_in_one_error() -> None:
    made = ClusterConfig("no name")
    made.lease(0).max_losses(-1).add_worker(lane="no lane", batch_size=0).add_service(int, "x")
    with pytest.raises(ConfigurationError) as caught:
        build(made)
    problems = caught.value.problems
    assert len(problems) == 7
    for fragment in (
        "cluster name 'no name'",
        "lease must",
        "max_losses must",
        "worker 1: lane 'no lane'",
        "worker 1: batch_size must be",
        "service int: 'x' is neither",
        "no database is given: call use_sqlite(path), use_postgres(url), use_mysql(url) or use_sqlserver",
    ):
        assert any(fragment in problem for problem in problems), fragment
        assert fragment in str(caught.value)
    assert isinstance(caught.value, ValueError)


# -- databases ---------------------------------------------------------------------------------------------


def test_a_relative_sqlite_path_is_fixed_when_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = f"sqlite:///{tmp_path / 'a b.db'}"
    for given in ("a b.db", Path("a b.db"), "sqlite:///a b.db"):
        database = settings_of(ClusterConfig("c").use_standalone().use_sqlite(given)).database
        assert (database.kind, database.url) == ("sqlite", expected)


def test_database_options_come_from_their_step_or_from_the_database() -> None:
    url = "postgresql://user:secret@db.example:5433/jobs"
    database = settings_of(
        ClusterConfig("c")
        .use_postgres(url, pgbouncer=True, schema="inner", pool_size=3, connect_args={"sslmode": "require"})
        .table_prefix("my_")
        .schema("outer")
        .disable_auto_provision()
    ).database
    assert database.kind == "postgresql"
    assert "user:secret@db.example:5433/jobs" in database.url
    assert database.pgbouncer is True
    assert (database.schema, database.table_prefix) == ("inner", "my_")
    assert database.pool_size == 3
    assert database.connect_args == {"sslmode": "require"}
    assert database.auto_provision is False


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (ClusterConfig("c").use_sqlite("a.db").use_postgres("postgresql://h/d"), "one database, not several"),
        (ClusterConfig("c").use_sqlite("a.db").use_sqlite("b.db"), "one database, not several"),
        (ClusterConfig("c").add_worker(), "add_worker() has no database to work on"),
        (ClusterConfig("c").use_sqlite(":memory:"), "use_sqlite: an in-memory SQLite database"),
        (ClusterConfig("c").use_sqlite(""), "use_sqlite takes a URL as text"),
        (ClusterConfig("c").use_sqlite(5), "use_sqlite takes a URL as text, not int"),  # type: ignore[arg-type]
        (
            ClusterConfig("c").use_sqlite("postgresql://h/d"),
            "use_sqlite was given the URL of a postgresql database",
        ),
        (ClusterConfig("c").use_postgres("jobs.db"), "use_postgres takes a URL such as postgresql://"),
        (ClusterConfig("c").use_mysql("jobs.db"), "use_mysql takes a URL such as mysql://"),
        (ClusterConfig("c").use_mysql("sqlite:///a.db"), "use_mysql was given the URL of a sqlite database"),
        (ClusterConfig("c").use_mysql("mysql+aiomysql://h/d"), "through pymysql: write mysql:// instead"),
        (ClusterConfig("c").use_postgres("mysql://h/d"), "given the URL of a mysql database"),
        (
            ClusterConfig("c").use_postgres("sqlite:///a.db"),
            "use_postgres was given the URL of a sqlite database",
        ),
        (ClusterConfig("c").use_postgres("oracle://h/d"), "'oracle' is not a database that jobmaster knows"),
        (ClusterConfig("c").use_postgres("postgresql+asyncpg://h/d"), "write postgresql:// instead"),
        (ClusterConfig("c").use_postgres("postgresql://h:port/d"), "cannot be read"),
        (ClusterConfig("c").use_sqlite("a.db", pool_size=0), "pool_size must be a whole number"),
        (ClusterConfig("c").use_sqlite("a.db", table_prefix="x" * 31), "table prefix"),
        (ClusterConfig("c").use_sqlite("a.db", connect_args=[1]), "connect_args must be a mapping"),  # type: ignore[arg-type]
        (
            ClusterConfig("c").use_postgres("postgresql://h/d", pgbouncer="yes"),  # type: ignore[arg-type]
            "pgbouncer must be True or False",
        ),
    ],
)
def test_faults_of_databases_are_told(made: ClusterConfig, message: str) -> None:
    (problem,) = problems_of(made)
    assert message in problem


def test_the_same_database_twice_is_no_contradiction() -> None:
    assert settings_of(ClusterConfig("c").use_sqlite("a.db").use_sqlite("a.db")).database.kind == "sqlite"


def test_a_missing_driver_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, package=None: None if name == "psycopg" else object()
    )
    (problem,) = problems_of(ClusterConfig("c").use_postgres("postgresql://h/d"))
    assert 'pip install "jobmaster[postgres]"' in problem


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{SECRET}@host/db",
        f"postgresql://user:{SECRET}%40x@host:5432/db?sslmode=require",
        f"postgresql://:{SECRET}@host/db",
        f"postgresql://host/db?user=u&password={SECRET}",
        f"postgresql://host/db?sslpassword={SECRET}&user=u",
        f"postgresql://user:{SECRET}@[::1]:5432/db",
        f"postgresql://user:p:{SECRET}@host/db",
        f"postgresql://user:p@{SECRET}@host/db",
    ],
)
def test_no_text_of_a_setting_shows_a_secret(url: str) -> None:
    settings = settings_of(ClusterConfig("c").use_postgres(url, connect_args={"passfile": SECRET, "n": 1}))
    assert SECRET in settings.database.url
    for shown in (repr(settings), str(settings), repr(settings.database), f"{settings.database}"):
        assert SECRET not in shown
    assert "'passfile': '***'" in repr(settings.database)
    (problem,) = problems_of(ClusterConfig("c").use_postgres(url).use_sqlite("a.db"))
    assert SECRET not in problem
    assert SECRET not in repr(ClusterConfig("c").use_postgres(url))


def test_settings_are_frozen() -> None:
    settings = settings_of(config().add_worker())
    for frozen, field in ((settings, "lease"), (settings.database, "url"), (settings.workers[0], "lane")):
        with pytest.raises(AttributeError):
            setattr(frozen, field, "x")


# -- workers and extensions --------------------------------------------------------------------------------


def test_workers_are_as_described() -> None:
    made = config().add_worker().add_worker("standalone", lane="payroll", name="payroll-1")
    made.add_worker(
        mode="execution",
        batch_size=10,
        parallelism_factor=2,
        bucket_quantity={Priority.CRITICAL: 3},
        concurrency=4,
    )
    assert settings_of(made).workers == (
        WorkerSettings("worker-1"),
        WorkerSettings("payroll-1", lane="payroll"),
        WorkerSettings(
            "worker-3",
            mode=WorkerMode.EXECUTION,
            batch_size=10,
            parallelism_factor=2.0,
            bucket_quantity={Priority.CRITICAL: 3},
            concurrency=4,
        ),
    )
    assert build(made, workers=False).settings.workers == ()
    assert len(build(made).settings.workers) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agent_connection": "pg-2"}, "worker 1: there is no agent connection 'pg-2'"),
        ({"lane": ""}, "worker 1: lane '' is not a valid name"),
        ({"name": "no name"}, "worker 'no name': worker name 'no name' is not a valid name"),
        ({"mode": "lazy"}, "worker 1: mode must be one of 'full', 'coordinator', 'execution', 'drain'"),
        ({"batch_size": 0}, "worker 1: batch_size must be a whole number"),
        ({"concurrency": 0}, "worker 1: concurrency must be a whole number"),
        ({"parallelism_factor": 0}, "worker 1: parallelism_factor must be a number above 0"),
        ({"parallelism_factor": float("inf")}, "parallelism_factor must be"),
        ({"parallelism_factor": "2"}, "parallelism_factor must be"),
        ({"bucket_quantity": {9: 1}}, "worker 1: bucket_quantity: 9 is no Priority"),
        (
            {"bucket_quantity": {Priority.LOW: 0}},
            "bucket_quantity of <Priority.LOW: 2> must be a whole number",
        ),
        ({"bucket_quantity": 3}, "bucket_quantity must map priorities to numbers"),
    ],
)
def test_faults_of_workers_are_told(options: dict[str, Any], message: str) -> None:
    (problem,) = problems_of(config().add_worker(**options))
    assert message in problem


def test_two_faulty_workers_are_both_told() -> None:
    made = config().add_worker(batch_size=0).add_worker(name="w", batch_size=0).add_worker(name="w", lane="")
    assert len(problems_of(made)) == 3


async def pass_on(job: JobContext, call_next: CallNext) -> object:
    return await call_next()


def test_extensions_reach_the_cluster() -> None:
    @job("config-tests-function")
    async def function(job: JobContext, number: int) -> None: ...

    watcher = Watcher()
    made = config().add_middleware(pass_on).add_service(int, 5).add_observer(watcher).set_as_default()
    built = made.add_handlers(Handler).add_handlers(function).build()
    assert {bound.definition_id for bound in built.registry} == {"config-tests", "config-tests-function"}
    assert built.observers == (watcher,)
    assert built.default is True
    assert build(config()).default is False


def test_without_add_handlers_those_that_are_imported_are_found() -> None:
    # in a process of its own, where no other test has declared handlers
    code = (
        "from jobmaster import ClusterConfig, JobHandler, job\n"
        "class One(JobHandler, definition_id='one'):\n"
        "    def handle(self, job): ...\n"
        "@job('two')\n"
        "def two(job): ...\n"
        "cluster = ClusterConfig('c').use_sqlite('a.db').build()\n"
        "print(sorted(bound.definition_id for bound in cluster._registry))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("['one', 'two']\n", "")


def test_add_handlers_without_any_serves_none() -> None:
    built: Any = config().add_handlers().build()
    assert len(built.registry) == 0


def test_a_handler_without_id_is_logged_when_built(caplog: pytest.LogCaptureFixture) -> None:
    class Nameless(JobHandler):
        async def handle(self, job: JobContext) -> None: ...

    with caplog.at_level(logging.WARNING):
        config().add_handlers(Nameless, Handler).build()
    assert [record.name for record in caplog.records] == ["jobmaster.handlers"]
    assert "Nameless has no definition_id" in caplog.text


def test_no_signature_has_a_catch_all() -> None:
    for name, step in inspect.getmembers(ClusterConfig, inspect.isroutine):
        if not name.startswith("_"):
            kinds = {parameter.kind for parameter in inspect.signature(step).parameters.values()}
            assert inspect.Parameter.VAR_KEYWORD not in kinds, name
            assert step.__doc__, name


def test_a_config_shows_its_name_only() -> None:
    assert repr(config()) == "<ClusterConfig 'orders'>"
    assert repr(DatabaseSettings("sqlite:///a.db", "sqlite")).startswith(
        "DatabaseSettings(url='sqlite:///a.db'"
    )


@pytest.mark.parametrize("url", ["mysql://u:pw@h/d", "mariadb://u:pw@h/d", "mysql+pymysql://u:pw@h/d"])
def test_mysql_and_mariadb_are_one_kind(url: str) -> None:
    config = ClusterConfig("c").use_mysql(url, schema="inner", table_prefix="x_", pool_size=3)
    database = settings_of(config.use_mysql(url, schema="inner", connect_args={"ssl_ca": "/ca"})).database
    assert (database.kind, database.schema) == ("mysql", "inner")
    assert database.connect_args == {"ssl_ca": "/ca"}
    assert "pw" not in repr(database)
