"""Retry policies: how long to wait before the next run after the n-th failure."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from .durations import Duration, as_timedelta

__all__ = ["DEFAULT_RETRY", "Retry", "RetryPolicy"]

CustomDelay = Callable[[int, BaseException], timedelta | float | None]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """One backoff rule; made by the constructors of :class:`Retry`. Durations are seconds here."""

    kind: Literal["none", "fixed", "linear", "exponential", "custom"]
    initial: float = 0.0
    maximum: float = 0.0
    multiplier: float = 2.0
    jitter: bool = False
    function: CustomDelay | None = None

    def delay(self, failures: int, error: BaseException | None) -> timedelta | None:
        """How long to wait after failure number ``failures`` (from 1); ``None``: do not retry.

        Jitter takes a uniform share between half and the whole of the delay ("equal jitter", Brooker,
        *Exponential Backoff And Jitter*, 2015), so that a retry is never immediate.
        """
        if self.kind == "none":
            return None
        if self.kind == "custom":
            assert self.function is not None
            given = self.function(failures, error if error is not None else RuntimeError("worker lost"))
            return None if given is None else as_timedelta(given, "the delay of Retry.custom")
        if self.kind == "fixed":
            seconds = self.initial
        elif self.kind == "linear":
            seconds = min(self.initial * failures, self.maximum)
        else:
            try:
                seconds = min(self.initial * self.multiplier ** (failures - 1), self.maximum)
            except OverflowError:
                seconds = self.maximum
        if self.jitter:
            seconds = seconds / 2 + random.random() * seconds / 2
        return timedelta(seconds=seconds)

    def spec(self) -> str:
        """JSON text from which :meth:`from_spec` makes an equal policy; not for custom functions."""
        if self.kind == "custom":
            raise ValueError("Retry.custom holds a function and cannot be stored with a job")
        return json.dumps([self.kind, self.initial, self.maximum, self.multiplier, self.jitter])

    @classmethod
    def from_spec(cls, text: str) -> RetryPolicy:
        """The policy that :meth:`spec` wrote."""
        kind, initial, maximum, multiplier, jitter = json.loads(text)
        return cls(kind, initial, maximum, multiplier, jitter)


class Retry:
    """Constructors of retry policies. Durations are ``timedelta`` or seconds.

    >>> Retry.exponential(initial=5, maximum=300).delay(3, None)
    datetime.timedelta(seconds=20)
    """

    @staticmethod
    def none() -> RetryPolicy:
        """Never retry: the first failure ends the job."""
        return RetryPolicy("none")

    @staticmethod
    def fixed(delay: Duration) -> RetryPolicy:
        """The same ``delay`` after every failure."""
        return RetryPolicy("fixed", _seconds(delay, "delay"))

    @staticmethod
    def linear(initial: Duration, maximum: Duration) -> RetryPolicy:
        """``initial`` times the number of failures, at most ``maximum``."""
        return RetryPolicy("linear", *_range(initial, maximum))

    @staticmethod
    def exponential(
        initial: Duration, maximum: Duration, multiplier: float = 2, jitter: bool = False
    ) -> RetryPolicy:
        """``initial``, then ``multiplier`` times as long each time, at most ``maximum``.

        With ``jitter`` each delay is drawn between half of that and the whole.
        """
        if not isinstance(multiplier, (int, float)) or not 1 <= multiplier <= 1000:
            raise ValueError(f"multiplier must be a number between 1 and 1000, not {multiplier!r}")
        first, longest = _range(initial, maximum)
        return RetryPolicy("exponential", first, longest, float(multiplier), bool(jitter))

    @staticmethod
    def custom(function: CustomDelay) -> RetryPolicy:
        """``function(failures, error)`` gives the delay, or ``None`` for no more retries."""
        if not callable(function):
            raise TypeError("Retry.custom takes a function of (failures, error)")
        return RetryPolicy("custom", function=function)


def _seconds(value: Duration, what: str) -> float:
    return as_timedelta(value, what, maximum=timedelta(days=366)).total_seconds()


def _range(initial: Duration, maximum: Duration) -> tuple[float, float]:
    first, longest = _seconds(initial, "initial"), _seconds(maximum, "maximum")
    if longest < first:
        raise ValueError(f"maximum ({longest:g} s) is shorter than initial ({first:g} s)")
    return first, longest


DEFAULT_RETRY = Retry.exponential(initial=10, maximum=600, jitter=True)
