"""A folder for databases that nobody may keep open after the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leftovers import open_files, until_empty


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """No file in it is open after the test."""
    yield tmp_path
    if files := until_empty(lambda: open_files(tmp_path)):
        pytest.fail("the test left files open:\n" + "\n".join(files), pytrace=False)


@pytest.fixture(autouse=True)
def no_file_left_open(folder: Path) -> None:
    """For every test here."""
