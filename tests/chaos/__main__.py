"""Storms for as long as you like: ``python -m tests.chaos --minutes 30 --seed 1``.

Prints a line per storm, then the matrix of fault × backend; ``--json FILE`` keeps it as data. With ``--each``
every storm has one kind of fault, so that each cell of the matrix has counts of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from tests.chaos.storm import BACKENDS, FAULTS, Ground, Result, ground, storm
from tests.harness.smalldisk import DiskAbsent

_MIXED = "all of them"


@dataclass
class Cell:
    """The storms of one kind on one backend."""

    runs: int = 0
    jobs: int = 0
    faults: int = 0
    reruns: int = 0
    losses: int = 0
    overlaps: int = 0
    failed: int = 0
    recoveries: list[float] = field(default_factory=list)
    """Seconds from the last fault until 95 % of the rate, of each storm where it came back in time."""
    unrecovered: int = 0
    slowest_end: float = 0.0
    """Seconds from the last fault until all had ended."""
    seeds: list[int] = field(default_factory=list)
    """Of failed storms."""

    def add(self, result: Result) -> None:
        self.runs += 1
        self.jobs += result.jobs
        self.faults += result.faults.total()
        self.reruns += result.reruns
        self.losses += result.lost
        self.overlaps += result.overlaps
        self.slowest_end = max(self.slowest_end, round(result.ended_in, 1))
        if result.recovered_in is None:
            self.unrecovered += 1
        else:
            self.recoveries.append(result.recovered_in)
        if result.problems:
            self.failed += 1
            self.seeds.append(result.seed)

    def __str__(self) -> str:
        told = f"{self.runs} runs, {self.jobs} jobs, {self.faults} faults, {self.reruns} re-runs, "
        told += f"{self.losses} lost, {self.overlaps} overlaps"
        if self.recoveries:
            told += f", rate back after {median(self.recoveries):.1f} s, at most {max(self.recoveries):.1f} s"
        if self.unrecovered:
            told += f", {self.unrecovered} not back in time"
        return told + (f", {self.failed} FAILED {self.seeds}" if self.failed else "")


def main() -> int:
    given = _arguments()
    began = time.monotonic()
    cells: dict[tuple[str, str], Cell] = defaultdict(Cell)
    total: Counter[str] = Counter()
    with ExitStack() as stack:
        grounds = [_ground(stack, backend) for backend in given.backend]
        seed, runs = given.seed, 0
        while runs < given.runs if given.minutes is None else time.monotonic() - began < given.minutes * 60:
            place = grounds[runs % len(grounds)]
            kinds = _kinds(given, place, runs // len(grounds))
            with tempfile.TemporaryDirectory() as directory:
                kept = Path(given.keep) / f"{place.backend}-{seed}" if given.keep else None
                result = storm(
                    place, seed, Path(directory), strikes=given.strikes, kinds=kinds, measure=True, keep=kept
                )
            cells[kinds[0] if len(kinds) == 1 else _MIXED, place.backend].add(result)
            total += result.faults
            print(
                f"seed {seed} {place.backend}: {result.jobs} jobs, {result.unsure} unsure, "
                f"{dict(result.faults)}, {result.reruns} re-runs, {result.lost} lost, {result.rate:.0f}/s "
                f"before, as many {result.recovered_in} s after the last fault, all ended after "
                f"{result.ended_in:.1f} s",
                flush=True,
            )
            for problem in result.problems:
                print(f"  PROBLEM {problem}", flush=True)
            seed, runs = seed + 1, runs + 1
    _show(cells, given.backend)
    print(
        f"{sum(cell.runs for cell in cells.values())} runs in {time.monotonic() - began:.0f} s: {dict(total)}"
    )
    if given.json:
        table = [{"fault": fault, "backend": where, **asdict(cell)} for (fault, where), cell in cells.items()]
        Path(given.json).write_text(json.dumps(table, indent=1) + "\n")
    return 1 if any(cell.failed for cell in cells.values()) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s chaos --", description=__doc__)
    parser.add_argument("--minutes", type=float, help="how long to go on; else --runs")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1, help="of the first storm; each next has the next one")
    parser.add_argument("--strikes", type=int, default=4, help="faults per storm")
    parser.add_argument("--backend", action="append", choices=BACKENDS)
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only these kinds")
    parser.add_argument("--each", action="store_true", help="one kind of fault per storm, in turn")
    parser.add_argument("--keep", help="folder for the logs, the record and the stores of failed storms")
    parser.add_argument("--json", help="file for the matrix as data")
    given = parser.parse_args()
    given.backend = given.backend or [backend for backend in BACKENDS if backend != "nats-oldest"]
    return given


def _ground(stack: ExitStack, backend: str) -> Ground:
    """On a disk that can be filled, where that can be had."""
    try:
        return stack.enter_context(ground(backend, small_disk=True))
    except DiskAbsent as reason:
        print(f"{backend}: no storm with a full disk: {reason}")
        return stack.enter_context(ground(backend))


def _kinds(given: argparse.Namespace, place: Ground, turn: int) -> tuple[str, ...]:
    there = [kind for kind in place.faults if not given.fault or kind in given.fault]
    if not there:
        raise SystemExit(f"{place.backend} has none of the faults asked for")
    return (there[turn % len(there)],) if given.each else tuple(there)


def _show(cells: dict[tuple[str, str], Cell], backends: list[str]) -> None:
    for fault in (*FAULTS, _MIXED):
        for backend in backends:
            cell = cells.get((fault, backend))
            if cell is not None:
                print(f"{fault:19} {backend:9} {cell}")


if __name__ == "__main__":
    sys.exit(main())
