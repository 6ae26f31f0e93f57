"""A producer: ``python -m tests.harness.producer --url … --accepted FILE --first N``, until it is killed.

Enqueues numbered jobs in batches, and writes the numbers of each batch down once its call has returned.
"""

from __future__ import annotations

import argparse
import os
from contextlib import closing

from jobmaster import JobRequest
from tests.harness.checker import observer_of

BATCH = 20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--accepted", required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--agent", action="append", default=[], help="NAME=URL; --url is then the master")
    given = parser.parse_args()
    agents = dict(agent.split("=", 1) for agent in given.agent) or None
    file = os.open(given.accepted, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    with closing(observer_of(given.url, agents, 10)) as cluster:
        number = given.first
        while True:
            batch = range(number, number + BATCH)
            cluster.scheduler.once_many(
                [JobRequest("numbered", {"number": n, "seconds": 0.0}) for n in batch], returning="ids"
            )
            os.write(file, "".join(f"{n}\n" for n in batch).encode())
            number += BATCH


if __name__ == "__main__":
    main()
