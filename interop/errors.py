"""The failures of a cell, by the party at fault.

::

    TestbedError            the testbed or a peer program failed: exit status 2, never excused
    ├── CannotRun           a peer cannot run on this machine
    └── PeerDied            a peer program ended or broke the control contract
        └── PeerHung        a peer program runs and does not answer
    Unsupported             a library lacks what the scenario needs, or the engine does
    Violation               an implementation under test broke a rule (an AssertionError)
    ├── Disconnected        it ended the connection where it had to answer
    ├── Escaped             its library let an exception escape
    └── PeerFailure         its library refused or failed an operation

Each carries its facts as attributes; ``str()`` puts them into words. No other module parses those.
"""

from __future__ import annotations

import traceback
from pathlib import Path

from .catalog import Api
from .records import Role

__all__ = [
    "CannotRun",
    "Disconnected",
    "Escaped",
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


class CannotRun(TestbedError):
    """A peer cannot run on this machine; says why, and what to install.

    Where several peers lack the same, they have the same first line; details follow it.
    """


class PeerDied(TestbedError):
    """A peer program ended, or broke the control contract.

    Attributes:
        reason: what happened to it.
        api: the row or column that its session was for; None where it had none yet.
        end: how its program ended and where its log is, as the engine tells; empty until that is
            known, and where the engine cannot tell.
    """

    def __init__(self, reason: str, *, api: Api | None = None) -> None:
        self.reason, self.api, self.end = reason, api, ""
        super().__init__(reason)

    def __str__(self) -> str:
        return _of(self.api, "; ".join(filter(None, (self.reason, self.end))))


class PeerHung(PeerDied):
    """A peer program does not answer its control connection, or never said READY."""


class Unsupported(Exception):
    """A library, or the engine, has no way to do what the scenario needs.

    Attributes:
        reason: the peer's own words, or the engine's.
        api: the row or column whose peer answered so; None where the engine lacks it.
        op: the operation, or the event of the interop app, that it answered; empty for an engine.
    """

    def __init__(self, reason: str, *, api: Api | None = None, op: str = "") -> None:
        self.reason, self.api, self.op = reason, api, op
        super().__init__(reason)

    def __str__(self) -> str:
        return _of(self.api, self.reason)


class Violation(AssertionError):
    """A rule was broken by an implementation under test.

    Attributes:
        what: what is wrong. The same defect has the same words in every cell and every run.
        api: the row or column that reported it; None where it was seen on the wire.
        within: the time waited, in words; empty where there was no wait.
        seen: what came instead, in words; it differs from run to run.
        missing: what did not come, where that is the failure; else empty.
        author: the side that had to write that; None for what a peer had to report.
    """

    def __init__(
        self,
        what: str,
        *,
        api: Api | None = None,
        within: object = "",
        seen: str = "",
        missing: str = "",
        author: Role | None = None,
    ) -> None:
        self.what, self.api, self.within, self.seen = what, api, str(within), seen
        self.missing, self.author = missing, author
        super().__init__(what)

    def __str__(self) -> str:
        within = f" within {self.within}" if self.within else ""
        seen = f"; {self.seen}" if self.seen else ""
        return _of(self.api, f"{self.what}{within}{seen}")


class Disconnected(Violation):
    """The other side ended the connection before its part of the handshake was complete."""


class Escaped(Violation):
    """A library let an exception escape to its application.

    Attributes:
        message: the exception, as the peer reported it.
    """

    def __init__(self, message: str, *, api: Api) -> None:
        self.message = message
        super().__init__(f"let an exception escape: {message}", api=api)


class PeerFailure(Violation):
    """The library under test refused or failed an operation.

    Attributes:
        op: the operation.
        kind: the library's own name for the error.
        message: the library's own words.
    """

    def __init__(self, op: str, kind: str, message: str, *, api: Api) -> None:
        self.op, self.kind, self.message = op, kind, message
        super().__init__(f"{op} failed with {kind}: {message}", api=api)


def _of(api: Api | None, words: str) -> str:
    return words if api is None else f"{api}: {words}"


def in_words(exc: BaseException) -> str:
    """Return type, message and place of an unexpected error, in one line."""
    frames = traceback.extract_tb(exc.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(exc).__name__}: {' '.join(str(exc).split())}{where}"
