"""The servers that a NATS URL lists, and what is to be said to them.

``nats://user:password@one:4222,two`` lists two; a user without a password is a token. What stands before
the ``@`` is percent-encoded where it has to be, as in every URL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["Login", "Servers", "read_servers"]

_DEFAULT_PORT = 4222
_SCHEMES = ("nats", "tls")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PLACE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(?P<port>\d{1,5}))?/?")
_FORM = "a NATS URL lists servers such as nats://one:4222,two:4222 or tls://one:4222,two:4222"


class Login(NamedTuple):
    """What a server is told first: user and password, or a token."""

    user: str | None = None
    password: str | None = None
    token: str | None = None

    def __repr__(self) -> str:
        return "Login(***)"


@dataclass(frozen=True, slots=True)
class Servers:
    """What a URL says. Its text shows no secret."""

    scheme: str
    """``nats`` or ``tls``, the same for all."""
    places: Sequence[str]
    """``host:port`` of each."""
    logins: Sequence[Login | None]
    """That of each, as far as the URL gives it one."""

    @property
    def urls(self) -> list[str]:
        """One URL for each, with nothing but scheme and place."""
        return [f"{self.scheme}://{place}" for place in self.places]

    @property
    def login(self) -> Login | None:
        """The first that is given; it serves for servers that have none of their own, those included of
        which one hears later."""
        return next((login for login in self.logins if login is not None), None)

    @property
    def of_their_own(self) -> dict[str, Login]:
        """The login of each place that has another than the first."""
        pairs = zip(self.places, self.logins, strict=True)
        return {place: login for place, login in pairs if login is not None and login != self.login}


def read_servers(url: str) -> tuple[Servers, list[str]]:
    """The servers of a URL, and what is wrong with it. No fault quotes what may be a secret."""
    places: list[str] = []
    logins: list[Login | None] = []
    faults: list[str] = []
    schemes: list[str] = []
    for number, part in enumerate(url.split(","), start=1):
        text = part.strip()
        named = _SCHEME.match(text)
        if named is not None:
            schemes.append(named[1].lower())
            text = text[named.end() :]
        if named is None and number == 1:
            faults.append(f"{_FORM}: this one begins with neither nats:// nor tls://")
            continue
        told, at, place = text.rpartition("@")
        found = _PLACE.fullmatch(place)
        if found is None or not 0 < int(found["port"] or _DEFAULT_PORT) < 65536:
            faults.append(_place_fault(number, url, place))
            continue
        login, fault = _read_login(told) if at else (None, None)
        if fault is not None:
            faults.append(f"server {number} of the URL: {fault}")
            continue
        places.append(f"{found['host']}:{int(found['port'] or _DEFAULT_PORT)}")
        logins.append(login)
    faults = _scheme_faults(schemes) or faults[:1]
    return Servers(schemes[0] if schemes else "nats", places, logins), faults


def _scheme_faults(schemes: Sequence[str]) -> list[str]:
    for scheme in schemes:
        if scheme not in _SCHEMES:
            why = (
                "NATS is reached by TCP, not by WebSocket" if scheme in ("ws", "wss") else "that is not NATS"
            )
            return [f"{scheme}:// is not taken, {why}: write nats://, or tls:// for TLS"]
    if len(set(schemes)) > 1:
        return ["its URL mixes nats:// and tls://: all servers of an agent have TLS, or none has"]
    return []


def _place_fault(number: int, url: str, place: str) -> str:
    """Why a server cannot be read; its text may hold half a password."""
    hints = []
    if "?" in url:
        hints.append("options such as replicas are given beside it")
    if "@" in url:
        hints.append(_ENCODE)
    if not place.split(":")[0] and not hints:
        hints.append(f"server {number} has no host")
    else:
        hints.insert(0, f"server {number} is not a host with a port from 1 to 65535")
    return "; ".join([_FORM, *hints])


_ENCODE = (
    "special characters of user and password are percent-encoded: %40 for @, %3A for :, %2F for /, %2C for a "
    "comma, %25 for %"
)


def _read_login(text: str) -> tuple[Login | None, str | None]:
    """The login before an ``@``, or what is wrong with it."""
    if "@" in text or "/" in text:
        return None, _ENCODE
    user, colon, password = text.partition(":")
    if not colon:
        return (
            (Login(token=unquote(user)), None)
            if user
            else (None, "it has an @ and no user or token before it")
        )
    if not user or not password:
        there, missing = ("user", "password") if user else ("password", "user")
        return None, f"it has a {there} and no {missing}: write user:password@host, or token@host"
    return Login(unquote(user), unquote(password)), None
