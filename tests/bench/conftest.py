"""The command `jobmaster bench` on an engine, and what it leaves there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.databases import execute, kind_of

TINY = ("--jobs", "300", "--rounds", "1", "--seconds", "0.3", "--idle-seconds", "0.5")


@dataclass(frozen=True)
class Bench:
    """A database to measure."""

    url: str

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "jobmaster.cli", "bench", self.url, *arguments]

    def run(self, *arguments: str, within: float = 110) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=within, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it; its standard error says what it is doing."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def figures(self, *arguments: str, within: float = 110) -> dict[str, dict[str, Any]]:
        """Measure; the figures by name."""
        ran = self.run("--json", *arguments, within=within)
        assert ran.returncode == 0, ran.stderr
        return {figure["name"]: figure for figure in json.loads(ran.stdout)["figures"]}

    def execute(self, sql: str) -> None:
        """Change something in the database."""
        execute(self.url, sql)

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(self.url.removeprefix("sqlite:///")) if self.url.startswith("sqlite") else None

    @property
    def tables(self) -> list[str]:
        """What is in the database."""
        if self.path is not None and not self.path.exists():
            return []
        queries = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1",
            "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
            "mysql": "SHOW TABLES",
        }
        return sorted(name for (name,) in execute(self.url, queries[kind_of(self.url)]))

    @property
    def files(self) -> list[str]:
        """What lies where the SQLite file would lie."""
        return [] if self.path is None else sorted(file.name for file in self.path.parent.iterdir())


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.sqlite),
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def bench(request: pytest.FixtureRequest) -> Bench:
    """Once on each engine that has a floor."""
    return Bench(request.getfixturevalue(f"{request.param}_url"))
