"""An SQLite file that is deleted, replaced or put back while it is open."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from jobmaster.errors import StoreError
from jobmaster.sql import Database, sqlitefile
from jobmaster.testing.conformance import Stores
from jobmaster.testing.conformance.stores import new_job
from tests.sql.conftest import stores_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def opened(path: Path, make_database: Any, monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setattr(sqlitefile, "_LOOK_EVERY", 0.0)
    database: Database = make_database(f"sqlite:///{path}")
    stores = stores_of(database)
    stores.open()
    stores.enqueue()
    return stores


def _refused(stores: Stores, path: Path, says: str) -> None:
    for call in (
        lambda: stores.transport.enqueue([new_job()]),
        lambda: stores.settlement.enqueue_keyed([new_job(unique_key="k")], "return"),
        stores.master.now,
    ):
        with pytest.raises(StoreError, match=says) as caught:
            call()
        assert str(path) in str(caught.value)


def _move(path: Path, target: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{target}{suffix}").unlink(missing_ok=True)
        if os.path.exists(f"{path}{suffix}"):
            os.rename(f"{path}{suffix}", f"{target}{suffix}")


def test_nothing_is_written_to_a_deleted_file(opened: Stores, path: Path) -> None:
    path.unlink()
    _refused(opened, path, "was deleted while it was open")
    _refused(opened, path, "was deleted while it was open")
    assert not path.exists()


def test_a_file_put_back_is_used_again(opened: Stores, path: Path, tmp_path: Path) -> None:
    _move(path, tmp_path / "away.db")
    _refused(opened, path, "was deleted")
    _move(tmp_path / "away.db", path)
    job = new_job()
    opened.transport.enqueue([job])
    assert opened.job(job.id).id == job.id


@pytest.mark.parametrize("stamped", [False, True])
def test_another_file_in_its_place_is_refused_and_left_alone(
    opened: Stores, path: Path, tmp_path: Path, make_database: Any, stamped: bool
) -> None:
    other = tmp_path / "other.db"
    if stamped:
        fresh: Database = make_database(f"sqlite:///{other}")
        fresh.open()
        fresh.close()
    else:
        other.touch()
    _move(other, path)
    _refused(opened, path, "was replaced")
    _refused(opened, path, "was replaced")
    assert b"jm_job" not in path.read_bytes() or stamped


def test_a_close_begins_anew(opened: Stores, path: Path) -> None:
    path.unlink()
    _refused(opened, path, "was deleted")
    opened.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    opened.open()
    job = new_job()
    opened.transport.enqueue([job])
    assert opened.job(job.id).id == job.id


def test_the_look_is_rare(path: Path, make_database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = stores_of(make_database(f"sqlite:///{path}"))
    stores.open()
    looks: list[float] = []
    look = sqlitefile.FileWatch._present
    monkeypatch.setattr(
        sqlitefile.FileWatch, "_present", lambda self: (looks.append(time.monotonic()), look(self))[1]
    )
    stores.enqueue()
    looks.clear()
    started = time.monotonic()
    for _ in range(50):
        stores.master.now()
    assert len(looks) <= time.monotonic() - started + 1
