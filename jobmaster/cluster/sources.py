"""Configuration from TOML files and environment variables: the same keys, the names of the steps."""

from __future__ import annotations

import difflib
import inspect
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.retry import Retry, RetryPolicy
from ..domain.status import Priority
from .databases import DATABASE_STEPS

if TYPE_CHECKING:
    from .config import ClusterConfig

__all__ = ["apply_environment", "apply_toml", "read_duration"]

_UNITS = {
    "ms": 0.001,
    "s": 1,
    "sec": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "day": 86400,
    "days": 86400,
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_NONE = "none"
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_CODE_ONLY = (
    "add_handlers",
    "add_middleware",
    "add_observer",
    "add_service",
    "add_static_schedules",
    "resolve_with",
    "build",
)
_RETRY_KINDS: Mapping[str, Callable[..., RetryPolicy]] = {
    "none": Retry.none,
    "fixed": Retry.fixed,
    "linear": Retry.linear,
    "exponential": Retry.exponential,
}


class _Wrong(Exception):
    """What a value should have been."""


# -- kinds of values: each takes what TOML or JSON gave and returns what the step wants --------------------


def read_duration(value: object) -> float | timedelta:
    """Seconds from a number or from text such as ``90``, ``1.5 s``, ``10 min``, ``2h``, ``30 days``.

    Raises ``ValueError``.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        if match := _DURATION.fullmatch(value.strip().lower()):
            number, unit = match.groups()
            if unit in _UNITS:
                return timedelta(seconds=float(number) * _UNITS[unit])
    raise ValueError("a number of seconds or text such as '10 min'")


def _duration(value: object) -> object:
    try:
        return read_duration(value)
    except ValueError as wanted:
        raise _Wrong(str(wanted)) from None


def _text(value: object) -> object:
    if isinstance(value, str):
        return value
    raise _Wrong("text")


def _whole(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _Wrong("a whole number")


def _number(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise _Wrong("a number")


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    raise _Wrong("true or false")


def _table(value: object) -> object:
    if isinstance(value, Mapping):
        return value
    raise _Wrong("a table")


def _or_none(inner: Callable[[object], object]) -> Callable[[object], object]:
    def read(value: object) -> object:
        return None if value == _NONE else inner(value)

    return read


def _retry(value: object) -> object:
    if value == _NONE:
        return Retry.none()
    if not isinstance(value, Mapping):
        raise _Wrong("'none' or a table such as {kind = 'exponential', initial = 10, maximum = 600}")
    options = dict(value)
    kind = options.pop("kind", None)
    if not isinstance(kind, str) or kind not in _RETRY_KINDS:
        raise _Wrong(f"a table whose 'kind' is one of {', '.join(_RETRY_KINDS)}")
    make = _RETRY_KINDS[kind]
    for name in ("delay", "initial", "maximum"):
        if name in options:
            options[name] = _duration(options[name])
    try:
        return make(**options)
    except (TypeError, ValueError) as fault:
        raise _Wrong(f"a {kind} retry policy with {inspect.signature(make)} ({fault})") from None


def _quantity(value: object) -> object:
    if not isinstance(value, Mapping):
        raise _Wrong("a table of priorities")
    known = {priority.name.lower(): priority for priority in Priority}
    unknown = [str(name) for name in value if str(name).lower() not in known]
    if unknown:
        raise _Wrong(f"a table whose keys are among {', '.join(known)}")
    return {known[str(name).lower()]: _whole(count) for name, count in value.items()}


_DATABASE: Mapping[str, Callable[[object], object]] = {
    "url": _text,
    "pgbouncer": _flag,
    "table_prefix": _text,
    "schema": _text,
    "pool_size": _whole,
    "connect_args": _table,
    "driver": _text,
}
_AGENT: Mapping[str, Callable[[object], object]] = {
    "name": _text,
    **_DATABASE,
    "replicas": _whole,
    "max_bytes": _whole,
    "user": _text,
    "password": _text,
    "token": _text,
    "nkey": _text,
    "credentials": _text,
    "tls": _flag,
}
_WORKER: Mapping[str, Callable[[object], object]] = {
    "agent_connection": _text,
    "lane": _text,
    "name": _text,
    "mode": _text,
    "batch_size": _whole,
    "parallelism_factor": _number,
    "bucket_quantity": _quantity,
    "concurrency": _whole,
}
_SETTINGS: Mapping[str, Callable[[object], object]] = {
    "transient_threshold": _duration,
    "default_job_timeout": _duration,
    "default_max_retries": _whole,
    "default_retry": _retry,
    "cluster_mode": _text,
    "max_message_bytes": _or_none(_whole),
    "time_zone": _text,
    "data_retention": _or_none(_duration),
    "lease": _duration,
    "grace_period": _duration,
    "operation_timeout": _duration,
    "startup_timeout": _duration,
    "max_losses": _whole,
    "table_prefix": _text,
    "schema": _text,
    "debug_jsonl_file_logger": _text,
}
_FLAGS = ("use_standalone", "disable_auto_provision", "set_as_default")
_KEYS = ("name", *DATABASE_STEPS, *_FLAGS, *_SETTINGS, "agents", "workers")


def apply_toml(config: ClusterConfig, path: Path) -> list[str]:
    """Apply a TOML file; what is wrong with it."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as fault:
        return [f"{path} cannot be read: {fault}"]
    except tomllib.TOMLDecodeError as fault:
        return [f"{path} is not TOML: {fault}"]
    faults: list[str] = []
    for key, value in values.items():
        shown = f"{path.name}: {key}"
        if key in _KEYS:
            faults += _apply(config, key, value, shown)
        elif key in _CODE_ONLY:
            faults.append(f"{shown} takes Python objects: call it in code")
        else:
            faults.append(f"{shown} is no setting{_suggestion(key, _KEYS)}")
    return faults


def apply_environment(config: ClusterConfig, prefix: str, environment: Mapping[str, str]) -> list[str]:
    """Apply the environment variables that begin with ``prefix``; what is wrong with them.

    A variable that is no key and resembles none belongs to somebody else and is left alone.
    """
    faults: list[str] = []
    for variable in sorted(environment):
        if not variable.startswith(prefix):
            continue
        key = variable.removeprefix(prefix).lower()
        if key in _KEYS:
            faults += _apply(config, key, _read_variable(key, environment[variable]), variable)
        elif hint := _suggestion(key, _KEYS, lambda name: prefix + name.upper()):
            faults.append(f"{variable} is no setting{hint}")
    return faults


def _read_variable(key: str, text: str) -> object:
    """The value that TOML would have given."""
    if key in _FLAGS:
        lowered = text.strip().lower()
        return True if lowered in _TRUE else False if lowered in _FALSE else text
    if _SETTINGS.get(key) is _text or key == "name":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _apply(config: ClusterConfig, key: str, value: Any, shown: str) -> list[str]:
    try:
        if key == "name":
            config._rename(str(_text(value)))
        elif key in _FLAGS:
            if _flag(value):
                getattr(config, key)()
        elif key in DATABASE_STEPS:
            options = {"url": value} if isinstance(value, str) else value
            if not isinstance(options, Mapping) or "url" not in options:
                raise _Wrong("a URL, or a table with 'url'")
            read, faults = _options(options, _DATABASE, getattr(config, key), shown)
            url = read.pop("url", None)
            if not faults:
                getattr(config, key)(url, **read)
            return faults
        elif key == "workers":
            return _apply_workers(config, value, shown)
        elif key == "agents":
            return _apply_agents(config, value, shown)
        else:
            getattr(config, key)(_SETTINGS[key](value))
    except _Wrong as wanted:
        return [f"{shown} must be {wanted}, not {_shown(key, value)}"]
    return []


def _apply_workers(config: ClusterConfig, value: object, shown: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(worker, Mapping) for worker in value):
        raise _Wrong("a list of tables")
    faults: list[str] = []
    config._forget_workers()
    for number, worker in enumerate(value, start=1):
        read, wrong = _options(worker, _WORKER, config.add_worker, f"{shown} {number}")
        if not wrong:
            config.add_worker(**read)
        faults += wrong
    return faults


def _apply_agents(config: ClusterConfig, value: object, shown: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(agent, Mapping) for agent in value):
        raise _Wrong("a list of tables")
    faults: list[str] = []
    config._forget_agents()
    for number, agent in enumerate(value, start=1):
        read, wrong = _options(agent, _AGENT, config.add_agent_connection, f"{shown} {number}")
        wrong += [f"{shown} {number} has no {name}" for name in ("name", "url") if name not in agent]
        if not wrong:
            config.add_agent_connection(**read)
        faults += wrong
    return faults


def _options(
    given: Mapping[str, object],
    known: Mapping[str, Callable[[object], object]],
    step: Callable[..., object],
    shown: str,
) -> tuple[dict[str, Any], list[str]]:
    accepted = [name for name in known if name == "url" or name in inspect.signature(step).parameters]
    read: dict[str, Any] = {}
    faults: list[str] = []
    for name, value in given.items():
        if name not in accepted:
            faults.append(f"{shown}: {name} is no option{_suggestion(name, accepted)}")
            continue
        try:
            read[name] = known[name](value)
        except _Wrong as wanted:
            faults.append(f"{shown}: {name} must be {wanted}, not {_shown(name, value)}")
    return read, faults


def _shown(key: str, value: object) -> str:
    """A wrong value for a message; never one that may hold a password."""
    return type(value).__name__ if key in (*DATABASE_STEPS, "agents", "url", "connect_args") else repr(value)


def _suggestion(
    key: str, known: tuple[str, ...] | list[str], spell: Callable[[str], str] = lambda name: name
) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    return f": did you mean {spell(close[0])}?" if close else ""
