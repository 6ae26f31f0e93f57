"""Cluster settings that are kept on the master: declared in code, stored, pinned; who wins, and when."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..domain.durations import as_timedelta
from ..domain.retry import RetryPolicy
from ..domain.status import ClusterMode
from ..engine.options import ClusterLimits
from ..errors import ConfigurationError
from ..ports import ClusterSetting

__all__ = ["SETTINGS", "SettingsBoard"]


@dataclass(frozen=True, slots=True)
class _Setting:
    field: str
    """The field of :class:`ClusterLimits` that it fills."""
    store: Callable[[Any], Any]
    """From the Python value to JSON."""
    load: Callable[[Any], Any]
    """From what a caller or the store gives to the Python value; raises ``TypeError``, ``ValueError``."""


def _duration(what: str, minimum: timedelta) -> _Setting:
    return _Setting(what, _seconds, lambda value: as_timedelta(value, what, minimum=minimum))


def _seconds(value: timedelta) -> float:
    return value.total_seconds()


def _optional(inner: _Setting) -> _Setting:
    return _Setting(
        inner.field,
        lambda value: None if value is None else inner.store(value),
        lambda value: None if value is None else inner.load(value),
    )


def _count(what: str, least: int, most: int) -> _Setting:
    def load(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{what} must be a whole number from {least} to {most}, not {value!r}")
        return value

    return _Setting(what, lambda value: value, load)


def _load_retry(value: Any) -> RetryPolicy:
    if isinstance(value, RetryPolicy):
        return value
    if isinstance(value, str):
        return RetryPolicy.from_spec(value)
    raise TypeError(f"default_retry must be a policy made by Retry, not {type(value).__name__}")


SETTINGS: Mapping[str, _Setting] = {
    "cluster_mode": _Setting("mode", lambda mode: mode.value, ClusterMode),
    "default_job_timeout": _Setting(
        "default_timeout",
        _seconds,
        lambda value: as_timedelta(value, "default_job_timeout", minimum=timedelta(milliseconds=1)),
    ),
    "default_max_retries": _Setting(
        "default_max_retries", lambda n: n, _count("default_max_retries", 0, 10_000).load
    ),
    "default_retry": _Setting("default_retry", lambda policy: policy.spec(), _load_retry),
    "max_losses": _count("max_losses", 0, 1000),
    "data_retention": _optional(_duration("data_retention", timedelta(seconds=1))),
    "max_message_bytes": _optional(_count("max_message_bytes", 1, 2**40)),
}
"""The settings that the master keeps, by the name of the step that declares them."""


class SettingsBoard:
    """What holds now: a pinned value, else what this code declares, else what is stored, else the default."""

    def __init__(self, limits: ClusterLimits, declared: Mapping[str, Any], logger: logging.Logger) -> None:
        self._limits = limits
        self._declared = {name: value for name, value in declared.items() if name in SETTINGS}
        self._logger = logger
        for name, value in self._declared.items():
            setattr(limits, SETTINGS[name].field, value)

    @property
    def declared(self) -> dict[str, Any]:
        """What code declares, as JSON values. A custom retry function stays in code."""
        return {
            name: SETTINGS[name].store(value)
            for name, value in self._declared.items()
            if not (isinstance(value, RetryPolicy) and value.kind == "custom")
        }

    def take(self, stored: Mapping[str, ClusterSetting]) -> None:
        """Let stored settings fill the limits."""
        for name, setting in SETTINGS.items():
            row = stored.get(name)
            if row is None:
                continue
            if name in self._declared and not row.pinned:
                continue
            try:
                setattr(self._limits, setting.field, setting.load(row.value))
            except (TypeError, ValueError) as fault:
                self._logger.error("stored setting %s = %r is ignored: %s", name, row.value, fault)

    def check_name(self, name: str) -> None:
        """Raise ``ConfigurationError`` for a name that is no stored setting."""
        if name not in SETTINGS:
            raise ConfigurationError(f"there is no setting {name!r}; there are {', '.join(SETTINGS)}")

    def parse(self, name: str, value: Any) -> Any:
        """A value given through the API, as JSON; ``ConfigurationError`` for unknown names and bad values."""
        self.check_name(name)
        setting = SETTINGS[name]
        try:
            return setting.store(setting.load(value))
        except (TypeError, ValueError) as fault:
            raise ConfigurationError(str(fault)) from None
