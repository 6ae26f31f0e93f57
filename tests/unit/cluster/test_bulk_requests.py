"""Items of ``once_many`` that are alike are made in fewer steps, and come out the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from jobmaster import (
    ClusterMode,
    InvalidJob,
    JobContext,
    JobHandler,
    JobRequest,
    MessageTooLarge,
    Priority,
    Retry,
    UnknownHandler,
)
from jobmaster.cluster.requests import RequestDesk
from jobmaster.domain.alike import AlikeJobs, kinds_of, part_of
from jobmaster.domain.job import NewJob
from jobmaster.domain.plaindata import PlainData
from jobmaster.engine.options import ClusterLimits
from jobmaster.payload import JsonCodecs
from tests.unit.handlers.runs import registry_of


class Plain(JobHandler, definition_id="plain", lane="mail", priority=Priority.HIGH, metadata={"team": "a"}):
    async def handle(self, job: JobContext) -> None: ...


class Data(BaseModel):
    n: int


class Typed(JobHandler[Data], definition_id="typed"):
    async def handle(self, job: JobContext[Data]) -> None: ...


LATER = datetime(2030, 1, 1, tzinfo=UTC)
ITEMS = [
    JobRequest(Plain, {"n": 1}),
    JobRequest(Plain, {"n": 2}),
    JobRequest(Plain),
    JobRequest(Plain, {"n": 3}, lane="other"),
    JobRequest(Plain, {"n": 4}),
    JobRequest(Plain, {"n": 5}, delay=3),
    JobRequest(Plain, {"n": 6}, run_at=LATER),
    JobRequest(Plain, {"n": 7}, metadata={"more": 1}),
    JobRequest(Plain, {"n": 8}, unique_key="k"),
    JobRequest(Plain, {"n": 9}, priority=Priority.LOW),
    JobRequest(Plain, {"n": 10}, timeout=9, max_retries=0),
    JobRequest(Plain, {"n": 11}),
    JobRequest(Typed, {"n": 12}),
    JobRequest(Typed, Data(n=13)),
    JobRequest("elsewhere", {"n": 14}),
    JobRequest("elsewhere", {"n": "ä\x00"}),
    JobRequest("elsewhere"),
    JobRequest(Plain, {"n": LATER}),
    JobRequest(Plain, {"n": 15}),
]


def desk(most: int | None = None) -> RequestDesk:
    registry = registry_of(Plain, Typed)
    limits = ClusterLimits(ClusterMode.ACTIVE, timedelta(hours=1), 3, Retry.none(), 5, None, most)
    return RequestDesk(registry, JsonCodecs(), limits, lambda: ("standalone",))


def test_they_are_what_each_would_be_by_itself() -> None:
    made = desk()
    together = made.from_requests(iter(ITEMS))
    alone = [made.from_request(item) for item in ITEMS]
    assert [new._replace(id=alone[n].id) for n, new in enumerate(together)] == alone
    assert [type(new) for new in together] == [type(new) for new in alone]
    assert len({new.id for new in together}) == len(ITEMS)
    assert [new.id for new in together] == sorted(new.id for new in together)


@pytest.mark.parametrize(
    ("handler", "datas"),
    [
        (Plain, [{"n": 1}, {}, None, {"a": "text", "b": None, "c": True, "d": 2**70}]),
        (Plain, [{"n": 1}, {"n": "ä\x00"}, {"n": [1, {"deep": LATER}]}, {"n": 1.5}]),
        (Plain, [PlainData({"n": 1}), {"n": Priority.HIGH}]),
        (Typed, [{"n": 1}, Data(n=2), {"n": 3}]),
        ("elsewhere", [{"n": 1}, None]),
    ],
)
def test_jobs_alike_are_what_each_would_be_by_itself(handler: Any, datas: list[Any]) -> None:
    made = desk()
    items = [JobRequest(handler, data) for data in datas]
    together = made.from_requests(items)
    assert isinstance(together, AlikeJobs)
    alone = [made.from_request(item) for item in items]
    assert len(together) == len(alone)
    assert [new._replace(id=alone[n].id) for n, new in enumerate(together)] == alone
    assert [type(new) for new in together] == [NewJob] * len(alone)
    assert [new.id for new in together] == together.ids() == sorted({new.id for new in together})
    assert [together[n] for n in range(len(datas))] == list(together)
    assert together[1:] == list(together)[1:]


def test_who_makes_requests_bit_by_bit_may_use_one_mapping_for_all() -> None:
    data: dict[str, int] = {}

    def requests() -> Iterator[JobRequest]:
        for data["n"] in range(4):
            yield JobRequest(Plain, data)

    assert [new.data for new in desk().from_requests(requests())] == [f'{{"n":{n}}}' for n in range(4)]
    drawn: list[int] = []

    def endless() -> Iterator[JobRequest]:
        for n in itertools.count():
            drawn.append(n)
            yield JobRequest(Plain, {"n": n if n < 3 else float("nan")})

    with pytest.raises(InvalidJob, match="nan"):
        desk().from_requests(endless())
    assert len(drawn) == 4


def test_a_part_of_jobs_alike() -> None:
    together = desk().from_requests([JobRequest(Plain, {"n": n}) for n in range(10)])
    assert isinstance(together, AlikeJobs)
    part = part_of(together, [7, 1, 2])
    assert isinstance(part, AlikeJobs)
    assert list(part) == [together[7], together[1], together[2]]
    assert part.ids() == [new.id for new in part]
    assert part_of(together, range(10)) is together
    assert part_of(list(together), [3]) == [together[3]]
    assert list(kinds_of(together)) == [together.like]
    assert kinds_of(list(together)) == list(together)


@pytest.mark.parametrize(
    ("bad", "kind", "says"),
    [
        (JobRequest(Plain, {"n": 10**5000}), InvalidJob, "too long"),
        (JobRequest(Plain, {"n": float("nan")}), InvalidJob, "nan"),
        (JobRequest(Plain, ["no mapping"]), InvalidJob, "mapping"),
        (JobRequest(Plain, {"n": "x" * 200}), MessageTooLarge, "2.. bytes"),
        (JobRequest(Plain, {"n": "€" * 50}), MessageTooLarge, "1.. bytes"),
        (JobRequest(Typed, {"n": "no number"}), InvalidJob, "n"),
        (JobRequest(Plain, {"n": 1}, lane="no lane"), InvalidJob, "lane"),
    ],
)
@pytest.mark.parametrize("place", [0, 3])
def test_the_error_of_one_names_its_place(bad: Any, kind: type[InvalidJob], says: str, place: int) -> None:
    items = [JobRequest(bad.handler, {"n": 1}) for _ in range(5)]
    items[place] = bad
    with pytest.raises(kind, match=says) as caught:
        desk(150).from_requests(items)
    assert caught.value.__notes__ == [f"in item {place} of once_many; nothing was stored"]


def test_what_is_no_request_or_has_no_handler_is_refused() -> None:
    with pytest.raises(TypeError, match="JobRequest items, not dict"):
        desk().from_requests([JobRequest(Plain), {"n": 1}])  # type: ignore[list-item]

    class Unknown(JobHandler, definition_id="unknown"):
        async def handle(self, job: JobContext) -> None: ...

    with pytest.raises(UnknownHandler):
        desk().from_requests([JobRequest(Plain), JobRequest(Unknown)])
