"""Clusters for schedules: standalone, or a master with agents, on each engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.conftest import Site, kind, make_url, site

__all__ = ["kind", "lone", "make_url", "place", "site"]


@pytest.fixture
def lone(database_url: str) -> Iterator[Site]:
    """A standalone database."""
    return Site(database_url)


@pytest.fixture(params=["standalone", "with agents"])
def place(request: pytest.FixtureRequest, kind: str, make_url: object) -> Site:
    """Either of them, on each engine."""
    assert callable(make_url)
    if request.param == "standalone":
        return Site(make_url(kind))
    return Site(make_url(kind), {"north": make_url(kind)})
