"""TOML and the environment: the same keys as the steps, toml < env < code, clear errors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobmaster.cluster.config import ClusterConfig
from jobmaster.cluster.settings import ClusterSettings, WorkerSettings
from jobmaster.cluster.sources import read_duration
from jobmaster.domain.retry import Retry
from jobmaster.domain.status import ClusterMode, Priority, WorkerMode
from jobmaster.errors import ConfigurationError


class Built:
    """Takes the place of the cluster."""

    def __init__(self, settings: ClusterSettings, registry: object, observers: object, default: bool) -> None:
        self.settings = settings
        self.default = default


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmaster.cluster.cluster.Cluster", Built)
    for name in os.environ:
        if name.startswith("JOBMASTER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def toml(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "jobs.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def build(config: ClusterConfig) -> Any:
    return config.add_handlers().build()


def settings_of(config: ClusterConfig) -> ClusterSettings:
    settings: ClusterSettings = build(config).settings
    return settings


def problems_of(config: ClusterConfig) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        build(config)
    return caught.value.problems


FULL = """
name = "orders"
transient_threshold = "5 min"
default_job_timeout = 90
default_max_retries = 7
default_retry = { kind = "exponential", initial = "5 s", maximum = "1h", multiplier = 3, jitter = true }
cluster_mode = "passive"
max_message_bytes = "none"
time_zone = "Europe/Berlin"
data_retention = "7 days"
lease = "2.5s"
grace_period = 0
operation_timeout = 3
startup_timeout = 4
max_losses = 2
table_prefix = "my_"
schema = "jobs"
disable_auto_provision = true
debug_jsonl_file_logger = "logs"
set_as_default = true
use_standalone = true

[use_postgres]
url = "postgresql://user:secret@host/db"
pgbouncer = true
pool_size = 4
connect_args = { sslmode = "require" }

[[workers]]
lane = "payroll"
name = "payroll-1"
mode = "execution"
batch_size = 100
parallelism_factor = 2
concurrency = 3
bucket_quantity = { critical = 3, LOW = 2 }

[[workers]]
"""


def test_every_key_of_a_file_is_a_step(toml: Callable[[str], Path]) -> None:
    built = build(ClusterConfig.from_toml(toml(FULL)))
    settings = built.settings
    assert built.default is True
    assert settings.cluster_id == "orders"
    assert settings.transient_threshold == timedelta(minutes=5)
    assert settings.default_job_timeout == timedelta(seconds=90)
    assert settings.default_max_retries == 7
    assert settings.default_retry == Retry.exponential(5, 3600, multiplier=3, jitter=True)
    assert settings.cluster_mode is ClusterMode.PASSIVE
    assert settings.max_message_bytes is None
    assert settings.time_zone == "Europe/Berlin"
    assert settings.data_retention == timedelta(days=7)
    assert settings.lease == timedelta(seconds=2.5)
    assert settings.grace_period == timedelta(0)
    assert settings.operation_timeout == timedelta(seconds=3)
    assert settings.startup_timeout == timedelta(seconds=4)
    assert settings.max_losses == 2
    assert settings.debug_jsonl_directory == Path("logs")
    database = settings.database
    assert (database.kind, database.pgbouncer, database.pool_size) == ("postgresql", True, 4)
    assert (database.table_prefix, database.schema) == ("my_", "jobs")
    assert database.connect_args == {"sslmode": "require"}
    assert database.auto_provision is False
    assert settings.workers == (
        WorkerSettings(
            "payroll-1",
            lane="payroll",
            mode=WorkerMode.EXECUTION,
            batch_size=100,
            parallelism_factor=2.0,
            bucket_quantity={Priority.CRITICAL: 3, Priority.LOW: 2},
            concurrency=3,
        ),
        WorkerSettings("worker-2"),
    )


def test_the_environment_wins_over_a_file_and_code_over_both(
    toml: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml(
        'name = "file"\nlease = 20\nmax_losses = 1\nuse_sqlite = "file.db"\n[[workers]]\nlane = "file"\n'
    )
    monkeypatch.setenv("JOBMASTER_LEASE", "30")
    monkeypatch.setenv("JOBMASTER_MAX_LOSSES", "2")
    monkeypatch.setenv("JOBMASTER_USE_POSTGRES", "postgresql://host/env")
    monkeypatch.setenv("JOBMASTER_WORKERS", '[{"lane": "env"}]')
    settings = settings_of(ClusterConfig.from_toml(path).max_losses(3).add_worker(lane="code"))
    assert settings.cluster_id == "file"
    assert settings.lease == timedelta(seconds=30)
    assert settings.max_losses == 3
    assert settings.database.kind == "postgresql"
    assert [worker.lane for worker in settings.workers] == ["env", "code"]
    assert settings.declared == {"lease", "max_losses"}
    assert settings_of(ClusterConfig.from_toml(path).use_sqlite("code.db")).database.url.endswith("code.db")


def test_a_fault_of_a_file_is_healed_by_what_wins_over_it(
    toml: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml('name = "file"\nlease = 0\nuse_sqlite = "file.db"\n')
    assert problems_of(ClusterConfig.from_toml(path)) == ("lease must be between 1 s and 1 h, not 0 s",)
    monkeypatch.setenv("JOBMASTER_LEASE", "30")
    assert settings_of(ClusterConfig.from_toml(path)).lease == timedelta(seconds=30)


VARIABLES = {
    "NAME": "123",
    "USE_SQLITE": "env.db",
    "LEASE": "1 min",
    "DEFAULT_JOB_TIMEOUT": "2.5",
    "DEFAULT_MAX_RETRIES": "0",
    "DEFAULT_RETRY": '{"kind": "fixed", "delay": 5}',
    "DATA_RETENTION": "none",
    "MAX_MESSAGE_BYTES": "1000",
    "TABLE_PREFIX": "my_",
    "DISABLE_AUTO_PROVISION": "yes",
    "SET_AS_DEFAULT": "0",
    "WORKERS": '[{"concurrency": 2}, {}]',
    "CLUSTER": "module:cluster",  # belongs to the command line
    "TEST_POSTGRES_URL": "belongs to the tests",
}


@pytest.mark.parametrize("prefix", ["JOBMASTER_", "MY_APP_"])
def test_variables_give_a_config_of_their_own(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(prefix + name, value)
    built = build(ClusterConfig.from_env() if prefix == "JOBMASTER_" else ClusterConfig.from_env(prefix))
    settings = built.settings
    assert settings.cluster_id == "123"
    assert settings.database.url.endswith("env.db")
    assert settings.database.table_prefix == "my_"
    assert settings.database.auto_provision is False
    assert settings.lease == timedelta(minutes=1)
    assert settings.default_job_timeout == timedelta(seconds=2.5)
    assert settings.default_max_retries == 0
    assert settings.default_retry == Retry.fixed(5)
    assert settings.data_retention is None
    assert settings.max_message_bytes == 1000
    assert [worker.concurrency for worker in settings.workers] == [2, None]
    assert built.default is False


def test_without_a_name_there_is_no_cluster(toml: Callable[[str], Path]) -> None:
    assert "the cluster has no name: set 'name'" in problems_of(ClusterConfig.from_toml(toml("lease = 5")))
    assert "the cluster has no name: set 'name'" in problems_of(ClusterConfig.from_env())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("laese = 5", "jobs.toml: laese is no setting: did you mean lease?"),
        ("colour = 5", "jobs.toml: colour is no setting"),
        ("add_handlers = ['a']", "jobs.toml: add_handlers takes Python objects: call it in code"),
        ("lease = true", "jobs.toml: lease must be a number of seconds or text such as '10 min', not True"),
        ("lease = '5 fortnights'", "jobs.toml: lease must be a number of seconds or text such as '10 min'"),
        ("lease = 1979-05-27", "jobs.toml: lease must be a number of seconds"),
        ("max_losses = '5'", "jobs.toml: max_losses must be a whole number, not '5'"),
        ("max_losses = 5.5", "jobs.toml: max_losses must be a whole number, not 5.5"),
        ("time_zone = 5", "jobs.toml: time_zone must be text, not 5"),
        ("set_as_default = 'yes'", "jobs.toml: set_as_default must be true or false, not 'yes'"),
        ("default_retry = 5", "jobs.toml: default_retry must be 'none' or a table such as"),
        (
            "default_retry = {kind = 'custom'}",
            "a table whose 'kind' is one of none, fixed, linear, exponential",
        ),
        ("default_retry = {kind = 'fixed'}", "a fixed retry policy with (delay"),
        ("default_retry = {kind = 'fixed', delay = -1}", "a fixed retry policy with (delay"),
        ("default_retry = {kind = 'fixed', delay = 'x'}", "a number of seconds or text"),
        ("workers = 2", "jobs.toml: workers must be a list of tables, not 2"),
        ("workers = [{lanes = 'x'}]", "jobs.toml: workers 1: lanes is no option: did you mean lane?"),
        ("workers = [{lane = 5}]", "jobs.toml: workers 1: lane must be text, not 5"),
        ("workers = [{parallelism_factor = '2'}]", "workers 1: parallelism_factor must be a number"),
        (
            "workers = [{bucket_quantity = {urgent = 1}}]",
            "workers 1: bucket_quantity must be a table whose keys",
        ),
        ("workers = [{bucket_quantity = 1}]", "workers 1: bucket_quantity must be a table of priorities"),
        ("workers = [{batch_size = 0}]", "worker 1: batch_size must be a whole number from 1"),
        ("use_postgres = {pool_size = 5}", "jobs.toml: use_postgres must be a URL, or a table with 'url'"),
        (
            "use_postgres = {url = 'postgresql://h/d', pgbounce = true}",
            "pgbounce is no option: did you mean pgbouncer?",
        ),
        ("name = 'no name'", "cluster name 'no name' is not a valid name"),
    ],
)
def test_faults_of_a_file_say_where_and_what(toml: Callable[[str], Path], line: str, message: str) -> None:
    lines = ['name = "c"'] * ("name =" not in line) + ['use_sqlite = "a.db"'] * ("use_p" not in line) + [line]
    problems = problems_of(ClusterConfig.from_toml(toml("\n".join(lines))))
    assert any(message in problem for problem in problems), problems


@pytest.mark.parametrize("key", ["use_sqlite", "use_postgres"])
def test_a_wrong_value_that_may_hold_a_password_is_not_shown(toml: Callable[[str], Path], key: str) -> None:
    for value in (
        '["postgresql://u:s3cr3t@h/d"]',
        '{ url = ["s3cr3t"] }',
        '{ url = "x", connect_args = "s3cr3t" }',
    ):
        problems = problems_of(ClusterConfig.from_toml(toml(f'name = "c"\n{key} = {value}\n')))
        assert problems
        assert not any("s3cr3t" in problem for problem in problems)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, toml: Callable[[str], Path]) -> None:
    problems = problems_of(ClusterConfig.from_toml(tmp_path / "absent.toml"))
    assert any("absent.toml cannot be read" in problem for problem in problems)
    problems = problems_of(ClusterConfig.from_toml(toml("name = ")))
    assert any("is not TOML" in problem for problem in problems)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("JOBMASTER_LAESE", "5", "JOBMASTER_LAESE is no setting: did you mean JOBMASTER_LEASE?"),
        ("JOBMASTER_LEASE", "soon", "JOBMASTER_LEASE must be a number of seconds"),
        ("JOBMASTER_MAX_LOSSES", "many", "JOBMASTER_MAX_LOSSES must be a whole number, not 'many'"),
        ("JOBMASTER_SET_AS_DEFAULT", "maybe", "JOBMASTER_SET_AS_DEFAULT must be true or false, not 'maybe'"),
        ("JOBMASTER_WORKERS", "[{", "JOBMASTER_WORKERS must be a list of tables"),
        ("JOBMASTER_LEASE", "0", "lease must be between 1 s and 1 h"),
    ],
)
def test_faults_of_variables_name_them(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv("JOBMASTER_NAME", "c")
    monkeypatch.setenv("JOBMASTER_USE_SQLITE", "a.db")
    monkeypatch.setenv(variable, value)
    (problem,) = problems_of(ClusterConfig.from_env())
    assert message in problem


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (5, 5),
        (1.5, 1.5),
        ("90", None),
        ("90s", 90),
        ("1.5 min", 90),
        ("2h", 7200),
        ("30 days", 2592000),
        ("10ms", 0.01),
    ],
)
def test_durations_are_numbers_or_text_with_a_unit(given: object, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="number of seconds"):
            read_duration(given)
    else:
        found = read_duration(given)
        assert (found.total_seconds() if isinstance(found, timedelta) else found) == seconds


def test_json_of_a_variable_is_what_toml_would_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBMASTER_NAME", "c")
    options = {"url": "postgresql://u:p@h/d", "pgbouncer": True}
    monkeypatch.setenv("JOBMASTER_USE_POSTGRES", json.dumps(options))
    assert settings_of(ClusterConfig.from_env()).database.pgbouncer is True
