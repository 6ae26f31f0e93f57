"""LISTEN on PostgreSQL: a thread with a connection of its own, which comes back after every loss."""

from __future__ import annotations

import random
import selectors
import socket
import threading
from collections.abc import Callable

import psycopg

from .dialect import Options
from .pgconnection import BoundedConnection
from .urls import StoreUrl

__all__ = ["PostgresListener"]

_LONGEST_PAUSE = 5.0
_LONGEST_WAIT = 5
_PROBE_AFTER = 10.0
"""Quiet seconds after which the connection is asked for a sign of life: a cut cable sends none."""


class PostgresListener:
    """Calls ``on_wake(lane)`` per notification, and ``on_wake(None)`` whenever some may have been missed."""

    def __init__(
        self, url: StoreUrl, options: Options, channel: str, on_wake: Callable[[str | None], None]
    ) -> None:
        self._url = url
        self._options = options
        self._channel = channel
        self._on_wake = on_wake
        self._closing = threading.Event()
        self._bell, self._ringer = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="jobmaster-listen", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; no call-back comes after this returns."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._ringer.send(b"x")
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._bell.close()
        self._ringer.close()

    def _run(self) -> None:
        pause = 0.1
        while not self._closing.is_set():
            try:
                with self._connect() as connection:
                    connection.execute(f'LISTEN "{self._channel}"')
                    pause = 0.1
                    if not self._closing.is_set():
                        self._on_wake(None)
                    self._follow(connection)
            except psycopg.Error:
                # Whatever it was, the cure is the same: a new connection, after a while.
                self._closing.wait(pause * (0.5 + random.random()))
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _connect(self) -> BoundedConnection:
        url = self._url.url.set(drivername="postgresql").render_as_string(hide_password=False)
        arguments = {
            "application_name": "jobmaster listener",
            "connect_timeout": _LONGEST_WAIT,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            **self._options.connect_args,
            "client_encoding": "UTF8",
        }
        connection = BoundedConnection.connect(url, autocommit=True, **arguments)
        connection.longest_wait = _LONGEST_WAIT
        connection.is_wanted = lambda: not self._closing.is_set()
        return connection

    def _follow(self, connection: BoundedConnection) -> None:
        with selectors.DefaultSelector() as waiting:
            waiting.register(connection.fileno(), selectors.EVENT_READ)
            waiting.register(self._bell, selectors.EVENT_READ)
            while not self._closing.is_set():
                ready = waiting.select(_PROBE_AFTER)
                if not ready:
                    connection.execute("SELECT 1")
                heard = {note.payload for note in connection.notifies(timeout=0)}
                for lane in heard:
                    if self._closing.is_set():
                        return
                    self._on_wake(lane or None)
