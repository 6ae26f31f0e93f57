"""Pulling from a consumer whose server has died, or that is not there."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple

import pytest

from jobmaster.agents.nats import puller as pulling
from jobmaster.agents.nats.puller import Puller
from jobmaster.agents.nats.wire import Sink
from jobmaster.errors import ConfigurationError, TransientStoreError

NOTHING_THERE = b"NATS/1.0 404 No Messages\r\n\r\n"
NOBODY = b"NATS/1.0 503\r\n\r\n"
CONFIG = {
    "config": {
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "filter_subject": "jobs.default.3.*",
        "max_deliver": -1,
        "ack_wait": 15_000_000_000,
        "max_ack_pending": 10,
    }
}


class _Message(NamedTuple):
    subject: str
    reply: str
    body: bytes


class _Link:
    """A connection to a server that answers pulls as it is told: with a status, or not at all."""

    api_prefix = "$JS.API"

    def __init__(self) -> None:
        self.connected = True
        self.status: bytes | None = NOTHING_THERE
        self.fault: Exception | None = None
        self.asked: list[bytes] = []
        self.looked_up = 0

    def new_inbox(self) -> str:
        return "_INBOX.here"

    async def api(self, endpoint: str, body: object = None, timeout: float = 5.0) -> dict[str, Any]:
        assert endpoint == "CONSUMER.INFO.stream.default-3"
        self.looked_up += 1
        if self.fault is not None:
            raise self.fault
        return CONFIG

    async def listen(self, subject: str, sink: Sink) -> _Link:
        assert subject == "_INBOX.here.*"
        self._sink = sink
        return self

    async def end(self) -> None:
        """Nothing is heard any more."""

    async def send(self, subject: str, body: bytes, reply: str) -> None:
        self.asked.append(reply.encode())
        if self.status is not None:
            asyncio.get_running_loop().call_soon(self.answer)

    def answer(self) -> None:
        self._sink(self.asked[-1], b"", b"", self.status or NOTHING_THERE)

    def deliver(self, number: int) -> None:
        self._sink(b"job", b"ack.%d" % number, b"%d" % number, b"")


def puller_on(link: _Link) -> Puller[_Message]:
    return Puller(
        link,  # type: ignore[arg-type]
        "stream",
        "default-3",
        "jobs.default.3.*",
        15.0,
        10,
        _Message,
        logging.getLogger(__name__),
    )


async def promptly(puller: Puller[_Message]) -> int:
    """A pull that may not wait for a consumer that does not answer."""
    return await asyncio.wait_for(puller.pull(5), 10)


async def test_one_that_does_not_answer_is_sought_while_others_are_pulled_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = _Link()
    puller = puller_on(link)
    assert await puller.pull(5) == 0
    assert puller.sure
    link.status = None
    monkeypatch.setattr(pulling, "_PATIENCE", 0.02)
    assert await puller.pull(5) == 0
    assert not puller.sure
    # from now on whoever waited for its answer would wait for ever
    monkeypatch.setattr(pulling, "_PATIENCE", 3600.0)
    assert [await promptly(puller) for _ in range(3)] == [0, 0, 0]
    assert len(link.asked) == 3, "one question is under way, and no more are asked"
    link.status = NOTHING_THERE
    link.deliver(1)
    await asyncio.sleep(0)
    assert await promptly(puller) == 1, "what it delivers late is taken"
    assert puller.sure
    assert [message.body for message in puller.take(5)] == [b"1"]
    await puller.close()


async def test_one_that_stays_away_is_sought_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "_PATIENCE", 0.01)
    link = _Link()
    link.status = None
    puller = puller_on(link)
    for _ in range(4):
        assert await puller.pull(5) == 0
    assert not puller.sure
    assert link.looked_up >= 3
    await puller.close()


async def test_one_that_was_deleted_is_made_again_at_the_next_pull() -> None:
    link = _Link()
    puller = puller_on(link)
    await puller.pull(5)
    link.status = NOBODY
    await puller.pull(5)
    assert (puller.sure, link.looked_up) == (False, 1)
    link.status = NOTHING_THERE
    await puller.pull(5)
    assert (puller.sure, link.looked_up) == (True, 2)
    await puller.close()


@pytest.mark.parametrize(
    ("fault", "connected", "raised"),
    [
        (TransientStoreError("no answer"), True, False),
        (TransientStoreError("no answer"), False, True),
        (ConfigurationError("no permission"), True, True),
    ],
    ids=["no answer", "no connection", "no permission"],
)
async def test_only_what_others_do_not_share_is_left_for_later(
    fault: Exception, connected: bool, raised: bool
) -> None:
    link = _Link()
    link.fault, link.connected = fault, connected
    puller = puller_on(link)
    if raised:
        with pytest.raises(type(fault), match=str(fault)):
            await puller.pull(5)
    else:
        assert await puller.pull(5) == 0
    await puller.close()


async def test_a_search_ends_with_its_puller() -> None:
    link = _Link()
    link.status = None
    puller = puller_on(link)
    pull = asyncio.create_task(puller.pull(5))
    while not link.asked:
        await asyncio.sleep(0)
    pull.cancel()
    await asyncio.wait({pull})
    puller._unanswered = True
    puller.sure = False
    assert await puller.pull(5) == 0
    search = puller._search
    assert search is not None
    assert not search.done()
    await puller.close()
    assert search.cancelled()
