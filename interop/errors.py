"""What can go wrong in a cell, told apart by whose fault it is.

::

    TestbedError            the testbed or a peer program failed: exit status 2, never excused
    └── PeerDied            a peer program ended or broke the control contract
        └── PeerHung        a peer program runs, and does not answer
    Unsupported             the peer's own word that its library has no such thing
    Violation               the judged implementation broke a rule (an AssertionError)
    └── PeerFailure         the library refused or failed what the scenario asked of it
"""

from __future__ import annotations

import traceback
from pathlib import Path

__all__ = [
    "PeerDied",
    "PeerFailure",
    "PeerHung",
    "TestbedError",
    "Unsupported",
    "Violation",
    "in_words",
]


class TestbedError(Exception):
    """The testbed itself failed; says what and, where it helps, what to do."""

    __test__ = False


class PeerDied(TestbedError):
    """A peer program ended, or broke the control contract."""


class PeerHung(PeerDied):
    """A peer program does not answer its control connection, or never said READY."""


class Unsupported(Exception):
    """A peer answered that its library cannot do what the scenario needs."""


class Violation(AssertionError):
    """A rule was broken by an implementation under test."""


class PeerFailure(Violation):
    """The library under test refused or failed an operation: `kind` and `message` are its own."""

    def __init__(self, who: str, op: str, kind: str, message: str) -> None:
        self.who, self.op, self.kind, self.message = who, op, kind, message
        super().__init__(f"{who}: {op} failed with {kind}: {message}")


def in_words(exc: BaseException) -> str:
    """Return what was raised, and where, in one line: for what nobody foresaw."""
    frames = traceback.extract_tb(exc.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(exc).__name__}: {' '.join(str(exc).split())}{where}"
