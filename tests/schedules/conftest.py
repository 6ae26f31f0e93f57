"""Clusters for schedules: standalone, or a master with an agent, on each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cluster.conftest import DATABASES, Site, make_url

__all__ = ["lone", "make_url", "place"]


@pytest.fixture
def lone(database_url: str) -> Iterator[Site]:
    """A standalone database."""
    return Site(database_url)


PLACES = [
    pytest.param(shape, *database.values, id=f"{shape}-{database.values[0]}", marks=database.marks)
    for shape in ("standalone", "with agents")
    for database in DATABASES
]
PLACES.append(pytest.param("with agents", "nats", id="with agents-nats", marks=pytest.mark.nats))


@pytest.fixture
def place(shape: str, kind: str, make_url: Callable[[str], str]) -> Site:
    """Either of them, on each engine; of NATS the agent, with a master in SQLite."""
    master = make_url("sqlite" if kind == "nats" else kind)
    return Site(master, {"north": make_url(kind)} if shape == "with agents" else {})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test of a place all of them."""
    if "place" in metafunc.fixturenames:
        metafunc.parametrize(("shape", "kind"), PLACES)
