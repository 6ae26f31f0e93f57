"""The text of every statement, per engine, as files: a change of one is seen in review.

`JOBMASTER_WRITE_GOLDEN=1 pytest tests/sql/test_golden.py` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobmaster.sql import open_database
from jobmaster.sql.dialect import Names

GOLDEN = Path(__file__).parent / "golden"
ENGINES = {
    "sqlite": "golden.db",
    "postgresql": "postgresql://localhost/golden",
    "mysql": "mysql://localhost/golden",
}
SCHEMAS = {"postgresql": "public", "mysql": "golden"}


def rendered(engine: str) -> dict[str, str]:
    """Statement texts by name, with the default prefix."""
    database = open_database(ENGINES[engine], cluster_id="golden")
    dialect = database.dialect
    names = Names("jm_", SCHEMAS.get(engine), dialect.quote)
    texts = dialect.render_all(names)
    return {name: text.sql + "\n" for name, text in texts.items()}


@pytest.mark.parametrize("engine", ENGINES)
def test_statements_are_those_on_file(engine: str) -> None:
    folder = GOLDEN / engine
    texts = rendered(engine)
    if os.environ.get("JOBMASTER_WRITE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*.sql"):
            stale.unlink()
        for name, text in texts.items():
            (folder / f"{name}.sql").write_text(text, encoding="utf-8")
    on_file = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.sql")}
    assert texts == on_file


@pytest.mark.parametrize("engine", ENGINES)
def test_no_macro_is_left(engine: str) -> None:
    for name, text in rendered(engine).items():
        assert "{" not in text, name
        assert "}" not in text, name
