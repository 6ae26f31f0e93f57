"""A network between clients and a server that can be slow, cut or half closed.

A process of its own, ``python -m tests.harness.proxy LISTEN TARGET SEED``, so that nothing in a test slows it
and nothing it does slows the test. It is told what to do on its standard input, a line each, and answers each
with a line; when that input ends, it ends.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.process import free_port

__all__ = ["Proxy"]

_PROJECT = Path(__file__).resolve().parents[2]
_PORTION = 65_536


class Proxy:
    """A way to a server on ``port`` of this machine; everybody who goes it connects to ``self.port``."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "tests.harness.proxy", str(self.port), str(port), str(seed)]
        self._process = subprocess.Popen(
            command, cwd=_PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._heard("listening")

    def delay(self, seconds: float) -> None:
        """Keep every portion of bytes back for up to so long."""
        self._tell(f"delay {seconds}")

    def cut(self) -> None:
        """Reset every connection and let none be made."""
        self._tell("cut")

    def half_close(self) -> None:
        """Tell one side of every connection, by chance which, that the other has ended; the other hears
        nothing, not even that. New connections are whole."""
        self._tell("half-close")

    def heal(self) -> None:
        """Let everything pass again; what was half closed is closed."""
        self._tell("heal")

    def _tell(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        self._heard(order)

    def _heard(self, what: str) -> None:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        if answer != what:
            raise RuntimeError(f"the proxy answered {answer!r} to {what!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


class _Connection:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, way: _Way, client: StreamWriter, server: StreamWriter) -> None:
        self._way = way
        self._ends = (client, server)
        self.is_half = False

    async def carry(self, source: StreamReader, target: StreamWriter) -> None:
        """Carry bytes in one direction until it ends."""
        try:
            while portion := await source.read(_PORTION):
                await self._way.pause()
                if not self.is_half:
                    target.write(portion)
                    await target.drain()
        except OSError:
            self.abort()
            return
        if not self.is_half:
            for end in self._ends:
                end.close()

    def half_close(self, toward_client: bool) -> None:
        """Tell one side that the other has ended, which is not so."""
        told = self._ends[0] if toward_client else self._ends[1]
        self.is_half = True
        if told.can_write_eof() and not told.is_closing():
            told.write_eof()

    def abort(self) -> None:
        """Reset both sides."""
        for end in self._ends:
            end.transport.abort()


class _Way:
    """All connections, and what the network is like now."""

    def __init__(self, target: int, seed: int) -> None:
        self._target = target
        self._chance = random.Random(f"proxy {seed}")
        self._delay = 0.0
        self._is_cut = False
        self._connections: set[_Connection] = set()

    async def pause(self) -> None:
        """As long as a portion takes now."""
        if self._delay:
            await asyncio.sleep(self._chance.uniform(0.0, self._delay))

    async def meet(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Somebody connects."""
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(self, writer, forth)
        self._connections.add(connection)
        if self._is_cut:
            connection.abort()
        await asyncio.gather(connection.carry(reader, forth), connection.carry(back, writer))
        self._connections.discard(connection)

    def obey(self, order: str) -> None:
        """One line of what it is told."""
        what, _, amount = order.partition(" ")
        match what:
            case "delay":
                self._delay = float(amount)
            case "cut":
                self._is_cut = True
                for connection in list(self._connections):
                    connection.abort()
            case "half-close":
                for connection in list(self._connections):
                    connection.half_close(self._chance.random() < 0.5)
            case "heal":
                self._delay, self._is_cut = 0.0, False
                for connection in list(self._connections):
                    if connection.is_half:
                        connection.abort()
            case _:
                raise ValueError(f"the proxy was told {order!r}")


async def _serve(listen: int, target: int, seed: int) -> None:
    way = _Way(target, seed)
    orders = StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    server = await asyncio.start_server(way.meet, "127.0.0.1", listen)
    print("listening", flush=True)
    async with server:
        while line := await orders.readline():
            order = line.decode().strip()
            way.obey(order)
            print(order, flush=True)
        # whoever told us what to do is gone: leave at once, whatever is connected
        sys.exit(0)


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:4])))
