"""A one-line error for a missing package or an old Python.

It imports only the standard library, and runs on older Pythons.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["with_packages"]


def with_packages(program: str, cure: str, command_line: Callable[[], int]) -> int:
    """Run a command line.

    Args:
        program: its name, for error messages.
        cure: the command that makes its environment, in words.
        command_line: imports and runs it.

    Returns:
        Its exit status; 2 where a package is missing or Python is too old; 130 after Ctrl-C,
        which may arrive while modules are imported.
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
        elif module in ("", "interop", "bench"):  # a defect of this repository
            raise
        else:
            why = f"{module} is not installed for {sys.executable}"
    print(f"{program}: {why}: {cure}", file=sys.stderr)  # noqa: T201  # a command line's own error
    return 2
