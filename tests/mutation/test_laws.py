"""Takes each law out of a copy of the project and runs the test that is to notice it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.laws import LAWS, Law

PROJECT = Path(__file__).resolve().parents[2]


def run(directory: Path, test: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-q", "-x", "-p", "no:cacheprovider", *shlex.split(test)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory), "JOBMASTER_TEST_SEED": "0"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project."""
    for name in ("jobmaster", "tests"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    shutil.copytree(PROJECT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    return tmp_path


def test_each_law_stands_where_the_list_says() -> None:
    for law in LAWS:
        assert law.old in (PROJECT / law.file).read_text(), law.what


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("law", LAWS, ids=[f"{law.section} {law.what}" for law in LAWS])
def test_a_test_fails_without_the_law(copy: Path, law: Law) -> None:
    file = copy / law.file
    file.write_text(file.read_text().replace(law.old, law.new))
    done = run(copy, law.test)
    # 1: tests failed; not 2 to 5, which say that none could run
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    assert " failed" in done.stdout
