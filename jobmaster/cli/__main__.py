"""``python -m jobmaster.cli`` is the command ``jobmaster``."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
