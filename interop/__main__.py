"""``python -m interop``: see `interop.cli`."""

from __future__ import annotations

import sys

from .needed import with_packages


def _main() -> int:
    from .cli import main

    return main()


if __name__ == "__main__":
    cure = "`make interop` makes .venv and runs the matrix; then use .venv/bin/python -m interop"
    sys.exit(with_packages("interop", cure, _main))
