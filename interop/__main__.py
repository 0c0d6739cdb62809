"""``python -m interop``; where it is installed, the command ``zaptools-interop``."""

from __future__ import annotations

import os.path
import sys

from .needed import with_packages
from .signals import delivered_later

__all__ = ["main"]


def main() -> int:
    """Run the command line and return the exit status."""
    program = "zaptools-interop"
    cure = "pip install --force-reinstall zaptools-interop"
    if os.path.isfile(os.path.join(os.path.dirname(__file__), "pyproject.toml")):
        program = "interop"
        cure = (
            "`make interop` makes .venv and runs the matrix; then use .venv/bin/python -m interop"
        )
    return with_packages(program, cure, _main)


def _main() -> int:
    # An import that is interrupted may lose the interrupt, and print a traceback.
    with delivered_later():
        from .cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
