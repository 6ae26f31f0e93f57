"""Fault points: a process dies, or a connection breaks, exactly between two writes."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from jobmaster import Cluster, ClusterConfig
from jobmaster.cluster.wiring import wire

__all__ = ["Breaks", "FaultPoint", "build", "lost_connection"]


@dataclass
class FaultPoint:
    """SIGKILL at the ``number``-th passing of the point ``name``."""

    name: str
    number: int
    passed: int = 0

    @classmethod
    def parse(cls, text: str) -> FaultPoint:
        name, _, number = text.partition(":")
        return cls(name, int(number or 1))

    def reach(self, name: str) -> None:
        if name == self.name:
            self.passed += 1
            if self.passed == self.number:
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Breaks:
    """Raises the driver's own "connection lost" at the first passing of a point, once armed for it."""

    make_error: Callable[[], BaseException]
    armed: set[str] = field(default_factory=set)
    broke: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, name: str) -> None:
        with self._lock:
            self.armed.add(name)

    def reach(self, name: str) -> None:
        with self._lock:
            if name not in self.armed:
                return
            self.armed.discard(name)
            self.broke.append(name)
        raise self.make_error()


def lost_connection(url: str) -> Callable[[], BaseException]:
    """The error by which the driver of this database says that the connection is gone."""
    if url.startswith("sqlite"):
        return lambda: sqlite3.OperationalError("disk I/O error")
    if url.startswith(("mysql", "mariadb")):
        import pymysql

        return lambda: pymysql.err.InterfaceError(0, "")
    if url.startswith("mssql"):
        import pyodbc

        return lambda: pyodbc.OperationalError("08S01", "[08S01] Communication link failure (0) (SQLExecute)")
    import psycopg

    return lambda: psycopg.OperationalError("server closed the connection unexpectedly")


def build(config: ClusterConfig, faults: FaultPoint | Breaks | None) -> Cluster:
    """Build a cluster whose stores pass these fault points."""
    if faults is None:
        return config.build()
    plain = config.build()
    plain.close()
    settings, registry = plain._settings, plain._registry
    return Cluster(settings, registry, stores=wire(settings, faults))
