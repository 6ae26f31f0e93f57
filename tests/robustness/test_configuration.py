"""Configuration of any text ends in a config or in one clear error, which shows no secret."""

from __future__ import annotations

import json
import os
import string
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobmaster import ClusterConfig, ConfigurationError
from jobmaster.cli import main
from jobmaster.errors import RecurrenceSyntaxError
from jobmaster.recurrence import parse
from jobmaster.sql.urls import parse_url

FUZZ = settings(
    # 16 of them; `--hypothesis-profile` with more examples has more
    max_examples=max(1, settings().max_examples // 6),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SECRET = "S3cretPassw0rd"
SCHEMES = [
    "sqlite", "postgresql", "postgres", "mysql", "mariadb", "mssql", "sqlserver", "nats", "tls", "http",
    "postgresql+psycopg", "mysql+pymysql", "mssql+pyodbc", "sqlite+aiosqlite", "",
]  # fmt: skip
STEPS = [
    "name", "use_sqlite", "use_postgres", "use_mysql", "use_sqlserver", "use_postgres_for_master", "lease",
    "grace_period", "workers", "agents", "add_worker", "transient_threshold", "default_retry", "time_zone",
    "max_message_bytes", "cluster_mode", "table_prefix", "data_retention", "default_job_timeout", "handlers",
    "max_losses", "debug_jsonl_directory", "disable_auto_provision", "set_as_default", "build",
]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
VALUES = st.recursive(
    st.one_of(
        TEXT, st.integers(), st.floats(), st.booleans(), st.sampled_from(["10 min", "none", "1e999 s"])
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def built(config: ClusterConfig) -> str:
    """What came of it: the error's text, or nothing."""
    try:
        config.build().close()
    except ConfigurationError as refused:
        return str(refused) or pytest.fail("an error without a text")
    return ""


@FUZZ
@given(st.dictionaries(st.sampled_from(STEPS), VALUES, max_size=5))
def test_environments(values: dict[str, object]) -> None:
    written = {
        f"FUZZ_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
    with mock.patch.dict(os.environ, written):
        built(ClusterConfig.from_env("FUZZ_"))


@pytest.fixture
def toml(tmp_path: Path) -> Iterator[Path]:
    with mock.patch.object(os, "environ", {}):
        yield tmp_path / "jobmaster.toml"


@FUZZ
@given(st.dictionaries(st.one_of(st.sampled_from(STEPS), TEXT), VALUES, max_size=5))
def test_toml_of_any_shape(toml: Path, values: dict[str, object]) -> None:
    toml.write_text("\n".join(f"{json.dumps(name)} = {_toml(value)}" for name, value in values.items()))
    built(ClusterConfig.from_toml(toml))


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


@FUZZ
@given(st.binary(max_size=200))
@example(b"name = 'a'\nname = 'b'")
@example(b"\xff\xfe")
@example(b"[" * 2000)
def test_toml_that_is_none(toml: Path, content: bytes) -> None:
    toml.write_bytes(content)
    assert built(ClusterConfig.from_toml(toml))


def url_texts() -> st.SearchStrategy[str]:
    rest = st.text(
        st.sampled_from(list(string.ascii_letters + string.digits + "/:@?#[]%&=;,.' \\\"")), max_size=40
    )
    return st.builds(lambda scheme, text: f"{scheme}://{text}", st.sampled_from(SCHEMES), rest)


def shown(text: str) -> str:
    """How a URL is shown, or why it is refused."""
    try:
        return parse_url(text).shown
    except ConfigurationError as refused:
        return str(refused)


@FUZZ
@given(st.one_of(url_texts(), TEXT))
@example("postgresql://[::1")
@example("postgresql://host:port/db")
@example("postgresql://h:99999999/d")
@example("sqlite://")
@example("sqlite:///a\0b")
@example("mssql://h/d?driver=x&driver=y")
@example("nats://h:x")
def test_urls(text: str) -> None:
    assert shown(text)
    built(ClusterConfig("c").use_sqlite_for_master("m.db").add_agent_connection("a", text).add_worker("a"))


@FUZZ
@given(st.sampled_from(SCHEMES), st.sampled_from(["h", "h:1", "h:x", "[::1]", "", "h/d?sslmode=%", "h,i:2"]))
def test_no_message_about_a_url_shows_its_password(scheme: str, rest: str) -> None:
    text = f"{scheme}://user:{SECRET}@{rest}"
    assert SECRET not in shown(text)
    config = ClusterConfig("c").use_sqlite_for_master("m.db").add_agent_connection("a", text)
    assert SECRET not in built(config) + repr(config)


WORDS = st.one_of(
    st.sampled_from(
        ["run", "status", "jobs", "schedules", "check", "migrate", "drain", "agents", "demo", "bench", "list",
         "show", "cancel", "next", "--config", "--help", "--url", "--json", "-h", "--", "-", "--version"]
    ),
    TEXT,
)  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=4))
@example(["schedules", "next", "\ud800"])
@example(["jobs", "show", "'; DROP TABLE jm_job; --"])
@example(["--config", "\0"])
def test_command_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if not {"demo", "bench", "run"}.isdisjoint(words):
        words = ["status", *words]  # those would begin to work, wherever they stand
    code = main(words)
    shown = capsys.readouterr()
    assert code in (0, 1, 2)
    assert "Traceback" not in shown.err
    assert code == 0 or shown.err or shown.out


@FUZZ
@given(st.text(max_size=80))
@example("0 0 31 2 *")
@example("every " + "9" * 500 + " days")
@example("FREQ=YEARLY;COUNT=" + "9" * 400)
@example("R/" * 40)
@example("\0")
@example("\ud800")
@example("*/0 * * * *")
@example("P" + "1Y" * 50)
def test_recurrence_texts(text: str) -> None:
    try:
        said = str(parse(text))
    except RecurrenceSyntaxError as refused:
        said = str(refused) if refused.problems else ""
    assert said
