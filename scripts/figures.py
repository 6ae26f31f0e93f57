#!/usr/bin/env python3
"""Write the tables and the plot of docs/performance.md from the results kept in docs/figures.

Each file there holds what one `jobmaster bench URL --json` printed, with the command and the circumstances::

    {"command": "jobmaster bench …", "circumstances": "two cores, …", "result": {…}}

A table stands between two comments and has a pair of columns for each file that the first one names::

    <!-- figures growth-postgresql growth-sqlite -->
    <!-- end of figures -->

A name with a star at its end stands for all files that begin so: several runs of one command, of which the
medians are shown, and of the ratios all.

`scripts/figures.py` writes; with `--check` it only says whether the page is as it would be written.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "docs" / "figures"
PLOT = RESULTS / "growth.svg"
_BLOCK = re.compile(r"(<!-- figures ([\w .*-]+?) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
_SHARES = ("floor", "empty", "the best number of processes")

Kept = Mapping[str, Any]
"""One file of results."""


def kept_results(folder: Path = RESULTS) -> dict[str, Kept]:
    """All results, by the names of their files."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def page_with_tables(page: str, results: Mapping[str, Kept]) -> str:
    """The page with every table written anew. Raises ``KeyError`` for a result that is not there."""

    def write(match: re.Match[str]) -> str:
        columns = [runs_of(name, results) for name in match[2].split()]
        return match[1] + "\n" + table([median_of(runs) for runs in columns]) + "\n" + match[3]

    return _BLOCK.sub(write, page)


def runs_of(name: str, results: Mapping[str, Kept]) -> list[Kept]:
    """The results that a name in a comment stands for. Raises ``KeyError`` when there is none."""
    if not name.endswith("*"):
        return [results[name]]
    found = [one for key, one in results.items() if key.startswith(name[:-1])]
    if not found:
        raise KeyError(name)
    return found


def median_of(runs: Sequence[Kept]) -> Kept:
    """One result with the median of each figure; of the ratios the median too, and ``ratios`` with all."""
    if len(runs) == 1:
        return runs[0]
    figures = []
    for place, figure in enumerate(runs[0]["result"]["figures"]):
        same = [run["result"]["figures"][place] for run in runs]
        ratios = [one["ratio"] for one in same]
        middle = {"value": statistics.median(one["value"] for one in same)}
        if None not in ratios:
            middle |= {"ratio": statistics.median(ratios), "ratios": ratios}
        figures.append({**figure, **middle})
    circumstances = f"medians of {len(runs)} runs; {runs[0]['circumstances']}"
    return {**runs[0], "circumstances": circumstances, "result": {**runs[0]["result"], "figures": figures}}


def table(kept: Sequence[Kept]) -> str:
    """Figures of several results side by side, and how they came about."""
    shown = [{figure["name"]: figure for figure in one["result"]["figures"]} for one in kept]
    names = list(dict.fromkeys(name for figures in shown for name in figures))
    lines = [
        "| figure | " + " | ".join(f"{_engine(one)} | against" for one in kept) + " |",
        "|---|" + "---|---|" * len(kept),
    ]
    for name in names:
        units = {figures[name]["unit"] for figures in shown if name in figures}
        cells = [cell for figures in shown for cell in _cells(figures.get(name))]
        lines.append(f"| {name}, {' or '.join(sorted(units))} | {' | '.join(cells)} |")
    lines += ["", *(f"- {_engine(one)}: `{one['command']}`; {one['circumstances']}." for one in kept)]
    return "\n".join(lines) + "\n"


def _engine(one: Kept) -> str:
    return str(one["result"]["facts"]["engine"])


def _cells(figure: Mapping[str, Any] | None) -> tuple[str, str]:
    if figure is None:
        return "", ""
    return _number(figure["value"]), _against(figure)


def _against(figure: Mapping[str, Any]) -> str:
    ratio, other = figure["ratio"], figure["compared_with"]
    if ratio is None:
        return ""
    every = figure.get("ratios")
    if other in _SHARES or other.startswith(("the first", "floor")):
        each = "" if every is None else f" ({', '.join(f'{one:.0%}'.removesuffix('%') for one in every)})"
        the = "the " if other.startswith("floor") else ""
        return f"{ratio:.0%} of {the}{other}".replace("%", " %", 1) + each
    each = "" if every is None else f" ({', '.join(f'{one:.1f}' for one in every)})"
    return f"{ratio:.1f} × {other}{each}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def plot(results: Mapping[str, Kept]) -> str:
    """Bars: throughput with full tables and with a snapshot held, as a share of the same without."""
    bars: list[tuple[str, float]] = []
    for name, one in results.items():
        if not name.startswith("growth"):
            continue
        for figure in one["result"]["figures"]:
            first = str(figure["compared_with"]).startswith("the first")
            if figure["compared_with"] == "empty" or first:
                bars.append((f"{_engine(one).split('-')[0]}: {figure['name']}", figure["ratio"]))
    height = 18 * len(bars) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" font-family="sans-serif" '
        'font-size="11">',
        f"<title>Throughput as a share of that with empty tables</title>"
        f'<line x1="620" y1="14" x2="620" y2="{height - 16}" stroke="#888" stroke-dasharray="3 3"/>'
        f'<text x="620" y="{height - 4}" text-anchor="middle" fill="#666">as when empty</text>',
    ]
    for number, (label, ratio) in enumerate(bars):
        top = 18 * number + 14
        width = min(ratio, 1.4) * 200
        parts.append(
            f'<text x="412" y="{top + 11}" text-anchor="end" fill="#666">{label}</text>'
            f'<rect x="420" y="{top}" width="{width:.0f}" height="13" fill="#4a7ab5"/>'
            f'<text x="{424 + width:.0f}" y="{top + 11}" fill="#666">{ratio:.0%}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write, or check."""
    results = kept_results()
    before = PAGE.read_text("utf-8")
    wanted = {PAGE: page_with_tables(before, results), PLOT: plot(results)}
    if "--check" in arguments:
        stale = [
            path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text
        ]
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what scripts/figures.py writes", file=sys.stderr)
        return 1 if stale else 0
    for path, text in wanted.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
