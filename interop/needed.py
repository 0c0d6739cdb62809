"""What a command line says in one line where its packages, or its Python, are not there.

It imports nothing that may be missing, and runs on older Pythons as far as to say so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["with_packages"]


def with_packages(program: str, cure: str, command_line: Callable[[], int]) -> int:
    """Run a command line.

    Args:
        program: its name, for what goes wrong.
        cure: the command that makes its environment, in words.
        command_line: imports it and runs it.

    Returns:
        Its exit status; 2 where a package is missing or Python is too old; 130 after Ctrl-C, which
        may come while modules are imported.
    """
    try:
        return command_line()
    except KeyboardInterrupt:
        return 130
    except (ImportError, SyntaxError) as exc:
        module = (exc.name or "").partition(".")[0] if isinstance(exc, ModuleNotFoundError) else ""
        if sys.version_info < (3, 11):  # noqa: UP036  # the program may be any Python's
            version = sys.version.split()[0]
            why = f"Python 3.11 or later is needed, and {sys.executable} is {version}"
        elif module in ("", "interop", "bench"):  # a fault of this repository's own
            raise
        else:
            why = f"{module} is not installed for {sys.executable}"
    print(f"{program}: {why}: {cure}", file=sys.stderr)  # noqa: T201  # a command line's own error
    return 2
