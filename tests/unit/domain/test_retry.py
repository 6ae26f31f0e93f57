"""Retry policies."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmaster import Retry
from jobmaster.domain.retry import RetryPolicy


def delays(policy: RetryPolicy, count: int) -> list[float | None]:
    answers = (policy.delay(n, ValueError()) for n in range(1, count + 1))
    return [None if answer is None else answer.total_seconds() for answer in answers]


def test_each_policy_waits_as_it_says() -> None:
    assert delays(Retry.none(), 2) == [None, None]
    assert delays(Retry.fixed(timedelta(seconds=3)), 3) == [3, 3, 3]
    assert delays(Retry.linear(2, 5), 4) == [2, 4, 5, 5]
    assert delays(Retry.exponential(1, 10), 6) == [1, 2, 4, 8, 10, 10]
    assert delays(Retry.exponential(1, 100, multiplier=3), 4) == [1, 3, 9, 27]


@given(failures=st.integers(1, 5000), initial=st.floats(0.001, 100), jitter=st.booleans())
def test_exponential_stays_within_its_bounds(failures: int, initial: float, jitter: bool) -> None:
    maximum = 3600.0
    delay = Retry.exponential(initial, maximum, jitter=jitter).delay(failures, None)
    assert delay is not None
    # it is kept in microseconds, and what that rounds off doubles along
    kept = timedelta(seconds=initial).total_seconds()
    nominal = min(kept * 2.0 ** min(failures - 1, 60), maximum)
    low = nominal / 2 if jitter else nominal
    assert low - 1e-5 <= delay.total_seconds() <= nominal + 1e-5


def test_custom_sees_failures_and_error_and_may_give_up() -> None:
    seen: list[tuple[int, str]] = []

    def rule(failures: int, error: BaseException) -> float | None:
        seen.append((failures, str(error)))
        return 2.5 if failures < 2 else None

    policy = Retry.custom(rule)
    assert policy.delay(1, ValueError("a")) == timedelta(seconds=2.5)
    assert policy.delay(2, ValueError("b")) is None
    assert seen == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    "policy", [Retry.none(), Retry.fixed(3), Retry.linear(1, 9), Retry.exponential(1, 60, 3, jitter=True)]
)
def test_a_policy_survives_storage(policy: RetryPolicy) -> None:
    assert RetryPolicy.from_spec(policy.spec()) == policy


def test_bad_policies_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter than initial"):
        Retry.exponential(10, 5)
    with pytest.raises(ValueError, match="between"):
        Retry.fixed(-1)
    with pytest.raises(TypeError, match="number of seconds"):
        Retry.fixed("5")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="multiplier"):
        Retry.exponential(1, 5, multiplier=0)
    with pytest.raises(ValueError, match="function"):
        Retry.custom(lambda failures, error: 1).spec()
