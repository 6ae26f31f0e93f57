"""The shorter ways through the client library."""

from __future__ import annotations

import asyncio
from urllib.parse import urlparse

import nats
import nats.errors
import pytest
from nats.aio.client import Srv

from jobmaster.agents.nats.wire import WireClient, status_of

HEADERS = b"NATS/1.0 404 No Messages\r\n\r\n"
FIRST = b"MSG a.b 7 5\r\nhello\r\n"
SAID = (
    FIRST
    + b"PONG\r\n"
    + b"HMSG a.b  7 back.1 %d %d\r\n%b12\r\n345\r\n" % (len(HEADERS), len(HEADERS) + 7, HEADERS)
    + b"+OK\r\n"
    + b"MSG a.c 8 back.2 0\r\n\r\n"
)
HEARD = [
    (7, b"a.b", b"", b"hello", b""),
    (7, b"a.b", b"back.1", b"12\r\n345", HEADERS),
    (8, b"a.c", b"back.2", b"", b""),
]


class _Ears:
    """A client that hears two subscriptions."""

    def __init__(self) -> None:
        self.client = WireClient()
        self.heard: list[tuple[int, bytes, bytes, bytes, bytes]] = []
        assert self.client.short, "the library is made otherwise: see _fits"
        for sid in (7, 8):
            self.client._sinks[b"%d" % sid] = lambda *said, sid=sid: self.heard.append((sid, *said))

    async def read(self, *chunks: bytes) -> None:
        for chunk in chunks:
            await self.client._ps.parse(chunk)


async def test_what_is_read_in_pieces_is_heard_as_it_was_said() -> None:
    for cut in range(len(SAID) + 1):
        ears = _Ears()
        await ears.read(SAID[:cut], SAID[cut:])
        assert ears.heard == HEARD, cut
    ears = _Ears()
    await ears.read(*(SAID[place : place + 1] for place in range(len(SAID))))
    assert ears.heard == HEARD


async def test_what_no_server_says_is_an_error() -> None:
    for said in (b"MSG a 7 x\r\n", b"HMSG 7\r\n", b"HELLO\r\n", b"MSG\r\n"):
        with pytest.raises(nats.errors.ProtocolError):
            await _Ears().read(said)


async def test_a_listener_that_fails_does_not_end_the_reading() -> None:
    ears = _Ears()
    faults: list[Exception] = []

    async def note(fault: Exception) -> None:
        faults.append(fault)

    def fail(*said: bytes) -> None:
        raise LookupError(said[2].decode())

    ears.client._error_cb = note
    ears.client._sinks[b"7"] = fail
    await ears.read(SAID)
    assert [str(fault) for fault in faults] == ["hello", "12\r\n345"]
    assert ears.heard == HEARD[2:]


async def test_after_a_new_connection_nothing_of_the_old_one_is_read() -> None:
    ears = _Ears()
    await ears.read(FIRST[:-3])
    ears.client._ps.reset()
    await ears.read(FIRST)
    assert ears.heard == HEARD[:1]


def test_only_answers_without_content_have_a_status() -> None:
    assert status_of(HEADERS) == "404"
    assert status_of(b"NATS/1.0\r\nNats-Msg-Id: 1\r\n\r\n") == status_of(b"") == ""


async def test_a_connection_on_which_the_server_says_nothing_is_closed_before_the_next() -> None:
    """A frozen server still accepts, and each try to reconnect makes a connection."""
    ended: list[bytes] = []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = WireClient()
    client.options["connect_timeout"] = 5
    for _ in range(3):
        await client._connect_to_server(Srv(urlparse(f"nats://127.0.0.1:{port}")))
    async with asyncio.timeout(5):
        while len(ended) < 2:
            await asyncio.sleep(0.01)
    assert client._transport is not None
    client._transport.close()
    await client._transport.wait_closed()
    server.close()
    await server.wait_closed()
