"""``python -m interop``: see `interop.cli`."""

from __future__ import annotations

import sys

from .needed import with_packages
from .signals import delivered_later


def _main() -> int:
    # An import that is interrupted may lose the interrupt, and print a traceback.
    with delivered_later():
        from .cli import main

    return main()


if __name__ == "__main__":
    cure = "`make interop` makes .venv and runs the matrix; then use .venv/bin/python -m interop"
    sys.exit(with_packages("interop", cure, _main))
