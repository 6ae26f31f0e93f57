"""A NATS server that is measured, beside the database of its master."""

from __future__ import annotations

import asyncio

import nats
from nats.aio.client import Client
from nats.errors import Error
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from ...agents.nats.names import Names
from ...agents.nats.options import NatsOptions
from ..refusal import Refusal
from .ground import Ground
from .jobs import AGENT, CLUSTER_ID
from .natsfloor import FLOOR_STREAM

__all__ = ["NatsGround"]

_PATIENCE = 4.0


class NatsGround(Ground):
    """The tables of the master, and the streams of the one agent. ``with`` takes them and deletes them."""

    def __init__(self, url: str, master: str, table_prefix: str) -> None:
        super().__init__(master, table_prefix)
        self._servers = NatsOptions(url)
        names = Names(table_prefix.strip("_"), CLUSTER_ID, AGENT)
        self._growing = (names.jobs, names.outcomes)
        self._all = (*self._growing, names.state, f"{table_prefix.strip('_')}-{FLOOR_STREAM}")
        self._version = ""

    def __enter__(self) -> NatsGround:
        super().__enter__()
        try:
            asyncio.run(self._delete())
        except BaseException:
            super().__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            asyncio.run(self._delete())
        finally:
            super().__exit__()

    @property
    def has_master(self) -> bool:
        return True

    def empty(self) -> None:
        super().empty()
        asyncio.run(self._purge())

    def facts(self) -> dict[str, object]:
        found = super().facts()
        found["master"] = f"{found['engine']}, {found['database']}"
        return found | {"engine": f"NATS {self._version}", "database": self._servers.shown}

    async def _delete(self) -> None:
        client = await self._connect()
        try:
            self._version = str(client.connected_server_version).split("v")[-1].rstrip(">")
            await _each(client.jetstream(), "delete_stream", self._all)
        finally:
            await client.close()

    async def _purge(self) -> None:
        client = await self._connect()
        try:
            await _each(client.jetstream(), "purge_stream", self._growing)
        finally:
            await client.close()

    async def _connect(self) -> Client:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await nats.connect(
                    self._servers.servers,
                    allow_reconnect=False,
                    connect_timeout=3,
                    error_cb=_hear,
                    **self._servers.for_client(),
                )
        except (Error, OSError, TimeoutError) as fault:
            raise Refusal(f"no NATS server answers at {self._servers.shown}") from fault


async def _hear(fault: Exception) -> None:
    """What goes wrong while connecting is raised by the connection itself."""


async def _each(context: JetStreamContext, what: str, streams: tuple[str, ...]) -> None:
    for stream in streams:
        try:
            await getattr(context, what)(stream)
        except NotFoundError:
            continue
        except Error as fault:
            raise Refusal(f"stream {stream!r} cannot be emptied: {fault}") from fault
