"""What the package promises as a whole: small files, the import law, a light import, types."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jobmaster"
LONGEST_FILE = 420
OPTIONAL_AT_IMPORT = [
    "sqlalchemy",
    "alembic",
    "pydantic",
    "typer",
    "rich",
    "nats",
    "psycopg",
    "pymysql",
    "pyodbc",
    "fastapi",
    "starlette",
    "flask",
    "django",
]


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_file_can_be_read_in_one_sitting() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert lengths
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_every_room_keeps_the_import_law() -> None:
    beside = Path(sys.executable).with_name("lint-imports")
    command = str(beside) if beside.exists() else shutil.which("lint-imports")
    assert command, "lint-imports is not installed: pip install import-linter"
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_imports_nothing_heavy() -> None:
    loaded = python("import jobmaster, sys; print(*sys.modules)").split()
    assert "jobmaster" in loaded
    assert sorted(set(OPTIONAL_AT_IMPORT) & {name.partition(".")[0] for name in loaded}) == []


def test_the_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_the_version_is_said_once() -> None:
    assert python("import jobmaster; print(jobmaster.__version__)") == metadata.version("jobmaster")


def test_the_extra_all_holds_every_other_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (everything,) = extras.pop("all")
    assert everything == f"jobmaster[{','.join(extras)}]"


@pytest.mark.parametrize("script", ["scripts/dev", ".ci/run"])
def test_scripts_can_be_executed(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111 == 0o111
