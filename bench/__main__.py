"""``python -m bench``."""

from __future__ import annotations

import sys

from interop.needed import with_packages


def _main() -> int:
    from .cli import main

    return main()


if __name__ == "__main__":
    sys.exit(with_packages("bench", "`make bench` makes .venv and runs it there", _main))
