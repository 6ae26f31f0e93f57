"""The tables of docs/performance.md are what scripts/figures.py makes of the results that are kept."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "figures.py"))
FIGURE = {
    "name": "drain",
    "value": 950.0,
    "unit": "jobs/s",
    "against": 1000.0,
    "compared_with": "empty",
    "ratio": 0.95,
    "note": "",
}


def kept(**figure: Any) -> dict[str, Any]:
    return {
        "command": "jobmaster bench x",
        "circumstances": "quiet",
        "result": {"facts": {"engine": "SQLite 3"}, "figures": [{**FIGURE, **figure}]},
    }


def test_the_page_and_the_plot_are_as_the_script_writes_them() -> None:
    results = SCRIPT["kept_results"]()
    assert results, "there are results"
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert SCRIPT["page_with_tables"](page, results) == page, "run scripts/figures.py"
    assert (ROOT / "docs" / "figures" / "growth.svg").read_text("utf-8") == SCRIPT["plot"](results)


def test_every_result_that_is_kept_is_shown() -> None:
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    shown = {name for match in SCRIPT["_BLOCK"].finditer(page) for name in match[2].split()}
    assert shown == SCRIPT["kept_results"]().keys()


def test_a_table_is_written_between_its_comments_and_nothing_else_is_touched() -> None:
    page = "before\n<!-- figures one two -->\nold\n<!-- end of figures -->\nafter\n"
    written = SCRIPT["page_with_tables"](
        page, {"one": kept(), "two": kept(name="find", unit="ms", ratio=2.0)}
    )
    assert written.startswith("before\n<!-- figures one two -->\n\n| figure | SQLite 3 | against |")
    assert "| drain, jobs/s | 950 | 95 % of empty |  |  |" in written
    assert written.endswith("<!-- end of figures -->\nafter\n")
    assert "old" not in written
    assert SCRIPT["page_with_tables"](
        written, {"one": kept(), "two": kept(name="find", unit="ms", ratio=2.0)}
    ) == (written)


def test_a_result_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyError, match="absent"):
        SCRIPT["page_with_tables"]("<!-- figures absent -->\n<!-- end of figures -->", {})


def test_stale_pages_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names = SCRIPT["main"].__globals__
    page = tmp_path / "performance.md"
    page.write_text("<!-- figures one -->\n<!-- end of figures -->\n")
    (tmp_path / "one.json").write_text(json.dumps(kept()))
    before = {name: names[name] for name in ("ROOT", "PAGE", "PLOT", "kept_results")}
    read = SCRIPT["kept_results"]
    names |= {
        "ROOT": tmp_path,
        "PAGE": page,
        "PLOT": tmp_path / "growth.svg",
        "kept_results": lambda: read(tmp_path),
    }
    try:
        assert SCRIPT["main"](["--check"]) == 1
        assert "performance.md is not what scripts/figures.py writes" in capsys.readouterr().err
        assert SCRIPT["main"]([]) == 0
        assert SCRIPT["main"](["--check"]) == 0
    finally:
        names |= before
    assert "950" in page.read_text()
