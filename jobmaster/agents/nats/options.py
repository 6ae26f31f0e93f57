"""How to reach the servers of one agent connection, and what a stream is made like."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CONNECT_ARGS", "NatsOptions", "connect_args_faults", "read_servers"]

CONNECT_ARGS = {
    "user": "a user name",
    "password": "its password",
    "token": "a token",
    "nkey": "the path of a file with an nkey seed",
    "credentials": "the path of a credentials file",
    "tls": "True, or an ssl.SSLContext",
    "tls_ca": "the path of the certificates that are trusted",
    "tls_cert": "the path of this client's certificate",
    "tls_key": "the path of its key",
    "tls_hostname": "the name that the server's certificate has to bear",
    "domain": "the JetStream domain",
    "max_ack_pending": "how many jobs of a lane and priority may be claimed at a time",
}
"""What ``connect_args`` may hold for a NATS agent."""
_MAX_ACK_PENDING = 20_000
_SERVER = re.compile(
    r"(?:(?:nats|tls)://)?(?P<auth>[^@/]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:@/\[\]]+)(?::(?P<port>\d+))?/?"
)


@dataclass(frozen=True, slots=True, repr=False)
class NatsOptions:
    """Everything about one NATS agent that is not the cluster's. Its text shows no secret."""

    url: str
    """Servers, separated by commas."""
    replicas: int | None = None
    """Copies of every message; ``None``: one, or whatever streams that exist have."""
    max_bytes: int | None = None
    """Most bytes of jobs that the stream takes; ``None``: as the server limits it."""
    connect_args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def servers(self) -> list[str]:
        """One URL for each server."""
        return read_servers(self.url)[0]

    @property
    def domain(self) -> str | None:
        """The JetStream domain."""
        return self.connect_args.get("domain")

    @property
    def max_ack_pending(self) -> int:
        """Back-pressure of the server: claimed jobs of one lane and priority."""
        return int(self.connect_args.get("max_ack_pending", _MAX_ACK_PENDING))

    @property
    def shown(self) -> str:
        """The servers without user, password or token."""
        return ",".join(re.sub(r"(?<=://)[^@/]*@", "", server) for server in self.servers)

    def __repr__(self) -> str:
        return f"NatsOptions({self.shown!r})"

    def for_client(self) -> dict[str, Any]:
        """What the client library is told."""
        given = self.connect_args
        names = {
            "user": "user",
            "password": "password",
            "token": "token",
            "nkey": "nkeys_seed",
            "credentials": "user_credentials",
            "tls_hostname": "tls_hostname",
        }
        told = {name: given[ours] for ours, name in names.items() if given.get(ours) is not None}
        context = self._tls()
        if context is not None:
            told["tls"] = context
        return told

    def _tls(self) -> ssl.SSLContext | None:
        given = self.connect_args
        if isinstance(given.get("tls"), ssl.SSLContext):
            return given["tls"]  # type: ignore[no-any-return]
        files = [given.get(name) for name in ("tls_ca", "tls_cert", "tls_key")]
        wanted = given.get("tls") is True or any(server.startswith("tls://") for server in self.servers)
        if not wanted and not any(files):
            return None
        context = ssl.create_default_context(cafile=given.get("tls_ca"))
        if given.get("tls_cert"):
            context.load_cert_chain(given["tls_cert"], given.get("tls_key"))
        return context


def read_servers(url: str) -> tuple[list[str], list[str]]:
    """The servers of a URL such as ``nats://one:4222,two:4222``, and what is wrong with it."""
    scheme = "tls" if url.startswith("tls://") else "nats"
    found: list[str] = []
    faults: list[str] = []
    auth = ""
    for part in url.split(","):
        match = _SERVER.fullmatch(part.strip())
        if match is None or not match["host"] or not 0 < int(match["port"] or 4222) < 65536:
            faults.append(
                "a NATS URL lists servers such as nats://one:4222,two:4222; options such as replicas are "
                "given beside it"
            )
            continue
        # user and password of the first server serve for those that name none
        auth = match["auth"] or auth
        found.append(f"{scheme}://{auth}{match['host']}:{match['port'] or 4222}")
    return found, faults[:1]


def connect_args_faults(args: Mapping[str, Any]) -> list[str]:
    """What is wrong with the ``connect_args`` of a NATS agent."""
    faults = []
    for name, value in args.items():
        if name not in CONNECT_ARGS:
            known = ", ".join(CONNECT_ARGS)
            faults.append(f"connect_args: {name!r} is none of {known}")
        elif name == "tls":
            if not isinstance(value, bool | ssl.SSLContext):
                faults.append(f"connect_args: tls must be {CONNECT_ARGS[name]}, not {type(value).__name__}")
        elif name == "max_ack_pending":
            if isinstance(value, bool) or not isinstance(value, int) or not 100 <= value <= 1_000_000:
                faults.append(f"connect_args: max_ack_pending must be from 100 to 1000000, not {value!r}")
        elif not isinstance(value, str) or not value:
            faults.append(f"connect_args: {name} must be {CONNECT_ARGS[name]}, as text")
        elif name in ("nkey", "credentials", "tls_ca", "tls_cert", "tls_key") and not Path(value).is_file():
            faults.append(
                f"connect_args: {name} must be {CONNECT_ARGS[name]}, and there is no file {value!r}"
            )
    if "tls_key" in args and "tls_cert" not in args:
        faults.append("connect_args: tls_key needs tls_cert")
    return faults
