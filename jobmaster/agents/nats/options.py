"""How to reach the servers of one agent connection, and what a stream is made like."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .servers import Login, Servers, read_servers

__all__ = ["CONNECT_ARGS", "NatsOptions", "connect_args_faults", "login_faults"]

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
_LOGINS = {"user and password": ("user", "password"), "token": ("token",), "nkey": ("nkey",)}
_LOGINS["credentials"] = ("credentials",)
_FILES = ("nkey", "credentials", "tls_ca", "tls_cert", "tls_key")
_SUBJECT_TOKEN = re.compile(r"[^\s.*>$]+")


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
    def listed(self) -> Servers:
        """What the URL says."""
        return read_servers(self.url)[0]

    @property
    def servers(self) -> list[str]:
        """One URL for each server, without user, password or token."""
        return self.listed.urls

    @property
    def logins(self) -> dict[str, Login]:
        """The servers, as ``host:port``, that are told something else than :meth:`for_client` says."""
        return self.listed.of_their_own

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
        return ",".join(self.servers)

    def __repr__(self) -> str:
        return f"NatsOptions({self.shown!r})"

    def for_client(self) -> dict[str, Any]:
        """What the client library is told."""
        login = self.listed.login or Login()
        given = {**login._asdict(), **self.connect_args}
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
        asked = [given.get(name) for name in ("tls_ca", "tls_cert", "tls_key", "tls_hostname")]
        wanted = given.get("tls") is True or any(server.startswith("tls://") for server in self.servers)
        if not wanted and not any(asked):
            return None
        context = ssl.create_default_context(cafile=given.get("tls_ca"))
        if given.get("tls_cert"):
            context.load_cert_chain(given["tls_cert"], given.get("tls_key"))
        return context


def connect_args_faults(args: Mapping[str, Any]) -> list[str]:
    """What is wrong with the ``connect_args`` of a NATS agent."""
    faults = []
    for name, value in args.items():
        if not isinstance(name, str) or name not in CONNECT_ARGS:
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
        elif name == "domain" and not (_SUBJECT_TOKEN.fullmatch(value) and value.isprintable()):
            faults.append(f"connect_args: domain must be a name without dots and blanks, not {value!r}")
        elif name in _FILES and not _is_file(value):
            # somebody may have put what is in the file in its place
            shown = (
                f" {value!r}" if name not in ("nkey", "credentials") or _is_path(value) else " of that name"
            )
            faults.append(f"connect_args: {name} must be {CONNECT_ARGS[name]}, and there is no file{shown}")
    if "tls_key" in args and "tls_cert" not in args:
        faults.append("connect_args: tls_key needs tls_cert")
    return faults


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def _is_path(text: str) -> bool:
    return len(text) < 256 and text.isprintable() and bool(set(text) & set("./\\"))


def login_faults(args: Mapping[str, Any], servers: Servers) -> list[str]:
    """What is wrong with who an agent says it is, which its URL or its ``connect_args`` tell."""
    faults = [
        f"connect_args: {there} needs {missing}"
        for there, missing in (("user", "password"), ("password", "user"))
        if there in args and missing not in args
    ]
    given = [called for called, names in _LOGINS.items() if any(name in args for name in names)]
    if len(given) > 1:
        faults.append(
            f"connect_args: {' and '.join(given)} are given, and a server takes one of them: user and "
            "password, or token, or nkey, or credentials"
        )
    if given and servers.login is not None:
        there = "a token" if servers.login.token is not None else "user and password"
        faults.append(
            f"its URL holds {there}, and connect_args {' and '.join(given)}: give them in one place only"
        )
    tls = [name for name in args if isinstance(name, str) and name.startswith("tls_")]
    if args.get("tls") is False and (servers.scheme == "tls" or tls):
        asks = tls[0] if tls else "tls:// in its URL"
        faults.append(f"connect_args: tls is False, and {asks} asks for TLS: leave one out")
    return faults
