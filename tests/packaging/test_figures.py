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
    results = SCRIPT["kept_results"]()
    names = {name for match in SCRIPT["_BLOCK"].finditer(page) for name in match[2].split()}
    shown = [id(one) for name in names for one in SCRIPT["runs_of"](name, results)]
    assert sorted(shown) == sorted(map(id, results.values()))


def test_of_several_runs_the_medians_are_shown_and_every_ratio() -> None:
    results = {
        "run-1": kept(value=10.0, ratio=0.5, compared_with="floor"),
        "run-2": kept(value=30.0, ratio=0.7, compared_with="floor"),
        "run-3": kept(value=20.0, ratio=0.9, compared_with="floor"),
        "else": kept(ratio=None, compared_with=None),
    }
    page = "<!-- figures run-* else -->\n<!-- end of figures -->\n"
    written = SCRIPT["page_with_tables"](page, results)
    assert "| drain, jobs/s | 20.0 | 70 % of the floor (50, 70, 90) | 950 |  |" in written
    assert "`jobmaster bench x`; medians of 3 runs; quiet." in written
    assert SCRIPT["page_with_tables"](written, results) == written
    times = {f"n-{n}": kept(ratio=float(n), compared_with="one caller") for n in (1, 2, 3)}
    assert "| 2.0 × one caller (1.0, 2.0, 3.0) |" in SCRIPT["page_with_tables"](
        page.replace("run-* else", "n-*"), times
    )
    with pytest.raises(KeyError, match="none"):
        SCRIPT["page_with_tables"](page.replace("run-*", "none-*"), results)


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
