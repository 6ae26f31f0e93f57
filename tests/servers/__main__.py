"""`python -m tests.servers postgres`: start a throw-away server, print its URL, run until Ctrl-C."""

from __future__ import annotations

import argparse
import inspect
import sys

from tests.servers import PROVIDERS, ServerAbsent
from tests.servers.process import run_until_interrupted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("kind", choices=sorted(PROVIDERS))
    parser.add_argument("--version", help="major version, where several are installed")
    arguments = parser.parse_args()
    provide = PROVIDERS[arguments.kind]
    options = {"version": arguments.version} if "version" in inspect.signature(provide).parameters else {}
    try:
        with provide(**options) as server:
            run_until_interrupted(server.url)
    except ServerAbsent as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
