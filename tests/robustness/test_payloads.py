"""Payloads, metadata, outcomes and logs that somebody made to break a queue."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobmaster import Cluster, ClusterConfig, JobMasterError, JobRequest, JobStatus
from jobmaster.errors import MessageTooLarge, SerializationError
from tests.robustness.conftest import Echo, Shout


def nested(depth: int, wrap: Any) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = wrap(value)
    return value


SURVIVE = {
    "minus zero": -0.0,
    "smallest": 5e-324,
    "largest": 1.7976931348623157e308,
    "beyond doubles": 2**53 + 1,
    "beyond 64 bits": -(2**64),
    "four thousand digits": 10**4000,
    "NUL": "a\0b",
    "controls": "\x01\x1b[2J\x7f\x85\u2028\ufeff\ufffe",
    "four bytes": "😀\U0010ffff",
    "not normalised": ["e\u0301", "\u00e9"],
    "SQL": "'; DROP TABLE jm_job; --",
    "percent": "%s %(x)s :x ${x} {0} \\' \\\\ \\x00 ? $1",
    "looks like a date": "2026-01-01T00:00:00Z",
    "looks like null": ["null", None, "", [], {}],
    "keys": {"": 1, "a\0": 2, "'": 3, "\\": 4, "__proto__": 5, "$ref": 6, "k" * 10_000: 7},
    "nested": nested(50, lambda value: [value]),
    "truth": [True, 1, 1.0, "1"],
}
REFUSED = {
    "NaN": math.nan,
    "infinity": -math.inf,
    "lone surrogate": "\ud800",
    "pair of surrogates": "\ud83d\ude00",
    "surrogate key": {"\udfff": 1},
    "too many digits": 10**5000,
    "too deep": nested(5_000, lambda value: [value]),
    "too deep a mapping": nested(5_000, lambda value: {"k": value}),
    "a key that is no text": {1: 2},
    "a set": {1},
    "code": len,
}


def outcome(cluster: Cluster, data: Any, **options: Any) -> Any:
    job = cluster.scheduler.once_now(Echo, data, **options)
    done = cluster.scheduler.wait(job.id, 20)
    assert done.status is JobStatus.SUCCEEDED, done.error
    assert repr(dict(done.data)) == repr(data)
    return done.result


def test_what_is_json_survives_unchanged(cluster: Cluster) -> None:
    # metadata can be searched for in SQL, where not every engine keeps NUL
    labels = {name: value for name, value in SURVIVE.items() if "\\u0000" not in json.dumps(value)}
    assert len(labels) == len(SURVIVE) - 2
    answered = outcome(cluster, SURVIVE, metadata=labels)
    assert repr(answered) == repr({"data": SURVIVE, "metadata": labels})


def test_what_is_not_json_is_refused_before_anything_is_stored(cluster: Cluster) -> None:
    for name, value in REFUSED.items():
        with pytest.raises(SerializationError) as caught:
            cluster.scheduler.once_now(Echo, {"x": value})
        assert len(str(caught.value)) < 25_000, name
        with pytest.raises(SerializationError):
            cluster.scheduler.once_now(Echo, {}, metadata={"x": value})
    assert cluster.scheduler.count_jobs() == 0


def test_ten_megabytes_arrive_or_are_refused_with_a_sentence(cluster: Cluster, engine: str) -> None:
    data = {"x": "ä'" * 1_000_000 + "x" * 7_000_000}
    if engine == "nats":
        with pytest.raises(JobMasterError, match=r"bytes"):
            cluster.scheduler.once_now(Echo, data)
    else:
        answered = outcome(cluster, data)
        assert answered["data"] == data
    if engine == "mariadb":
        with pytest.raises(JobMasterError, match="max_allowed_packet"):
            cluster.scheduler.once_now(Echo, {"x": "x" * 17_000_000})
    # nobody behind it suffers
    outcome(cluster, {"x": 1})


def test_the_limit_counts_what_is_stored(config: ClusterConfig) -> None:
    with config.max_message_bytes(1_000).build() as cluster:
        outcome(cluster, {"x": "x" * 900})
        for big in ({"x": "ä" * 500}, {"x": "\0" * 200}, {"x" * 1_000: 1}):
            with pytest.raises(MessageTooLarge, match="1000"):
                cluster.scheduler.once_now(Echo, big)


@pytest.mark.parametrize(
    ("text", "times"),
    [(r"a\0b", 1), (r"\ud800", 1), (r"'; DROP TABLE jm_job; --", 1), (r"\x1b[31m%s{}", 1), ("x", 3_000_000)],
    ids=["NUL", "surrogate", "SQL", "escapes", "megabytes"],
)
def test_a_handler_that_shouts_fails_alone(cluster: Cluster, text: str, times: int) -> None:
    loud = cluster.scheduler.once_now(Shout, {"text": text, "times": times})
    calm = cluster.scheduler.once_now(Echo, {"x": 1})
    done = cluster.scheduler.wait(loud.id, 20)
    assert done.status is JobStatus.FAILED
    assert done.error is not None
    assert done.error.type.endswith("RuntimeError")
    assert cluster.scheduler.wait(calm.id, 20).status is JobStatus.SUCCEEDED
    (attempt,) = cluster.scheduler.attempts(loud.id)
    assert attempt.log is not None
    assert len(attempt.log) < 1_100_000


UTF8 = st.characters(exclude_categories=("Cs",))
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(UTF8),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(UTF8, max_size=5), inner),
    max_leaves=12,
)


def test_generated_payloads_survive_unchanged(cluster: Cluster) -> None:
    payloads: list[dict[str, Any]] = []

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(JSON)
    def collect(value: Any) -> None:
        payloads.append({"x": value})

    collect()
    ids = cluster.scheduler.once_many([JobRequest(Echo, data) for data in payloads], returning="ids")
    for job_id, data in zip(ids, payloads, strict=True):
        done = cluster.scheduler.wait(job_id, 20)
        assert json.dumps(done.result) == json.dumps({"data": data, "metadata": {}})
        assert json.dumps(dict(done.data)) == json.dumps(data)
