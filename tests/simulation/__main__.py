"""Many simulations: ``python -m tests.simulation --seeds 1000 [--from 0] [--agents 2] [--slow 0.003]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import replace

from .ledger import Violated
from .world import THOUSANDS, Scene, simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--agents", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=120)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--storm", type=float, default=25.0)
    parser.add_argument("--slow", type=float, default=Scene().slow_rate, help="rate of slow store calls")
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--thousands", action="store_true", help="2,000 workers with 200,000 jobs instead")
    parser.add_argument("--shrink", type=int, default=1, help="with --thousands: so many times fewer of each")
    given = parser.parse_args()
    scene = replace(
        Scene(),
        agents=given.agents,
        jobs=given.jobs,
        processes=given.processes,
        storm=given.storm,
        slow_rate=given.slow,
    )
    if given.thousands:
        scene = replace(
            THOUSANDS,
            agents=given.agents,
            processes=THOUSANDS.processes // given.shrink,
            jobs=THOUSANDS.jobs // given.shrink,
            batches=THOUSANDS.batches // given.shrink,
        )
    began, faults, failed = time.perf_counter(), Counter[str](), 0
    jobs = runs = commits = 0
    for seed in range(given.first, given.first + given.seeds):
        try:
            report = simulate(seed, scene)
        except Violated as fault:
            failed += 1
            print(fault, file=sys.stderr)
            if not given.keep_going:
                return 1
            continue
        jobs, runs, commits = jobs + report.jobs, runs + report.runs, commits + report.commits
        faults += report.faults
    took, worked = time.perf_counter() - began, time.process_time()
    print(
        f"{given.seeds} seeds, {failed} failed, {jobs} jobs, {runs} runs, {commits} commits, {took:.1f} s, "
        f"{worked:.1f} s of processor time"
    )
    print(", ".join(f"{count} {name}" for name, count in sorted(faults.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
