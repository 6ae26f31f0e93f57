"""The connection of a NATS agent, by the shorter ways through the client library and by its own."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import nats
import pytest

from jobmaster.agents.nats.link import ApiFault, Link
from jobmaster.agents.nats.messages import Outgoing
from jobmaster.agents.nats.options import NatsOptions
from jobmaster.domain.ids import uuid7
from jobmaster.errors import TransientStoreError

pytestmark = pytest.mark.nats
LOG = logging.getLogger(__name__)


@pytest.fixture(params=[True, False], ids=["short", "library"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """The shorter ways, and a library that they do not fit."""
    if not request.param:
        monkeypatch.setattr("jobmaster.agents.nats.wire._fits", lambda client: False)
    flag: bool = request.param
    return flag


async def test_messages_go_and_come_the_same_either_way(nats_url: str, either_way: bool) -> None:
    link = Link("n", NatsOptions(nats_url), LOG)
    await link.connect(5.0)
    try:
        assert link._client is not None
        assert link._client.short is either_way
        await link.api("STREAM.CREATE.jm-wire", {"name": "jm-wire", "subjects": ["jm.wire.>"]})
        messages = [Outgoing(f"jm.wire.{n}", b"\r\n" * n, uuid7().hex, 0) for n in range(600)]
        acks = await link.publish(messages, 10.0)
        assert [ack.seq for ack in acks] == list(range(1, 601))
        again = await link.publish([messages[0], messages[1]._replace(id=uuid7().hex)], 10.0)
        assert [(ack.duplicate, ack.overtaken) for ack in again] in (
            [(True, False), (False, True)],
            [(False, True), (False, True)],
        )
        heard: list[tuple[bytes, bytes, bytes]] = []
        enough = asyncio.Event()

        def hear(subject: bytes, reply: bytes, body: bytes, headers: bytes) -> None:
            heard.append((subject, body, headers))
            if len(heard) == 3:
                enough.set()

        listening = await link.listen("wire.*", hear)
        await link.send("wire.a", b"x" * 100_000, "back")
        await link.send_each(["wire.b", "wire.c"])
        await asyncio.wait_for(enough.wait(), 5)
        assert heard == [(b"wire.a", b"x" * 100_000, b""), (b"wire.b", b"", b""), (b"wire.c", b"", b"")]
        await listening.end()
        with pytest.raises(TransientStoreError, match=r"nobody answers wire\.a"):
            await link.ask("wire.a", b"", 2.0)
        with pytest.raises(ApiFault, match="stream not found"):
            await link.api("STREAM.INFO.nowhere")
    finally:
        await link.close()


async def test_a_question_whose_answer_is_lost_is_asked_again(nats_url: str, either_way: bool) -> None:
    link = Link("n", NatsOptions(nats_url), LOG)
    await link.connect(5.0)
    asked: list[bytes] = []
    client = await nats.connect(nats_url)

    async def answer(message: Any) -> None:
        asked.append(message.data)
        if len(asked) == 2:
            await message.respond(b"at last")

    try:
        await client.subscribe("deaf", cb=answer)
        # behind the subscription, as a ping of the library is not
        await client.request("$JS.API.INFO", b"", timeout=5)
        assert await link.ask("deaf", b"?", 5.0) == b"at last"
        asked.clear()
        with pytest.raises(TransientStoreError, match="no answer to deaf"):
            await link.ask("deaf", b"once", 1.5, repeated=False)
        assert asked == [b"once"]
    finally:
        await client.close()
        await link.close()
