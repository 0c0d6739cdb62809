"""The records of a run: each cell's result and evidence, and the run's own.

``results.json`` is a `ResultsFile`, and `interop/results.schema.json` is generated from it::

    python -m interop.records > interop/results.schema.json

Every module that makes, judges or reads results does so by these types. A field with its default
value is left out of the JSON, and an absent one has its default when a file is read, so that files
of earlier runs stay readable.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct

__all__ = [
    "KEPT",
    "KEPT_BYTES",
    "OTHER",
    "ROLES",
    "SECRET_NAMES",
    "VERDICTS",
    "AddedApi",
    "Attempt",
    "Author",
    "CellResult",
    "Commit",
    "ConnectionRecord",
    "Culprit",
    "CulpritSide",
    "Ended",
    "EngineName",
    "Evidence",
    "Excuse",
    "Finished",
    "FlakyRecord",
    "FrameRecord",
    "Missing",
    "Note",
    "Notifications",
    "PassageRecord",
    "PeerRecord",
    "RequestRecord",
    "Requests",
    "ResultsFile",
    "Role",
    "RunRecord",
    "Shard",
    "Verdict",
    "ViolationRecord",
    "decode",
    "encode",
    "schema",
]

KEPT = 60
"""Frames and notifications kept for one cell, of each kind: a burst of 1,000 is cut."""

SECRET_NAMES = "auth|cookie|token|secret|password|api-?key"
"""A regular expression for parts of the names of headers whose values are not shown."""

KEPT_BYTES = 400
"""Bytes kept of a frame's text, and characters of a notification's or request's value."""

T = TypeVar("T")

Role = Literal["server", "client"]
"""A side of a connection: of the library under test, of an API, of a frame's author."""

ROLES: tuple[Role, Role] = ("server", "client")
OTHER: Mapping[Role, Role] = {"server": "client", "client": "server"}
Author = Literal["client", "server", "judge"]
CulpritSide = Literal["server", "client", "unknown"]

Verdict = Literal[
    "passed", "deviating", "tolerated", "warned", "failed", "flaky", "unsupported", "error"
]
EngineName = Literal["local", "docker", "compose", "check"]
"""The engine that ran the peers; ``check`` for a server that this testbed did not start."""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

_Count = Annotated[int, Meta(ge=0)]
_Number = Annotated[int, Meta(ge=1)]
_Time = Annotated[float, Meta(ge=0)]

Note = Annotated[dict[str, Any], Meta(extra_json_schema={"required": ["on"]})]
"""A peer's notification as it came, with the time ``t_ms``; long values are cut."""


class FrameRecord(Struct, frozen=True, omit_defaults=True):
    """A frame that the tap saw.

    Attributes:
        t_ms: when, in milliseconds since the tap was made, as all times of one cell.
        connection: the connection's number, from 1.
        length: bytes of the payload, of which `text` is the beginning.
        code: a close frame's.
    """

    t_ms: float
    connection: _Number
    author: Author
    to: Role
    kind: str
    length: _Count
    code: int | None = None
    text: str = ""


class PassageRecord(Struct, frozen=True, omit_defaults=True):
    """What passed beside the frames on one of the judge's own connections.

    Attributes:
        what: bytes of the handshake, or how the author ended TCP.
        text: the first bytes as Latin-1, without the values of headers whose names tell a secret.
        length: of all bytes.
    """

    t_ms: float
    author: Author
    to: Role
    what: Literal["handshake", "end", "reset"]
    text: str = ""
    length: _Count = 0


class ViolationRecord(Struct, frozen=True, omit_defaults=True):
    """A breach of the wire's rules.

    Attributes:
        excused: whether the scenario provokes it.
        frame: index into the cell's frames; None for bytes that are not a frame.
        rule: the number of the rule that it breaks; empty for bytes that are not a frame.
    """

    author: Role
    violation: str
    excused: bool
    frame: _Count | None = None
    rule: str = ""


class RequestRecord(Struct, frozen=True, omit_defaults=True):
    """A request to a peer.

    Attributes:
        done_ms: when the reply came; None while there is none.
        outcome: ``ok``, ``unsupported`` or the kind of error; empty while there is no reply.
    """

    op: str
    args: dict[str, Any]
    t_ms: float
    done_ms: float | None = None
    outcome: str = ""


class Ended(Struct, frozen=True):
    """The side that ended a connection first, and when."""

    by: Author
    t_ms: float


class ConnectionRecord(Struct, frozen=True, omit_defaults=True):
    """A connection through the tap.

    Attributes:
        headers: the request's, without those that every handshake has.
        status: the server's answer; 0 for none.
        protocol: the subprotocol that the server chose.
        extensions: those that the request offered, as it did; empty for none.
    """

    t_ms: float
    target: str
    headers: list[tuple[str, str]]
    status: _Count
    protocol: str | None = None
    ended: Ended | None = None
    extensions: str = ""


class Notifications(Struct, frozen=True):
    """The notifications of the server's peer, and those of each client's."""

    server: list[Note]
    clients: list[list[Note]]


class Requests(Struct, frozen=True):
    """The requests to the server's peer, and those to each client's."""

    server: list[RequestRecord]
    clients: list[list[RequestRecord]]


class Culprit(Struct, frozen=True):
    """The side that is at fault in a red cell, or ``unknown``.

    Attributes:
        why: the reason in words, for readers alone.
        basis: the kind of reason, as `interop.verdicts.culprit` lists them; empty where unknown.
        api: the row or column; empty where unknown.
        frame: index into the cell's frames of the one at fault, or of the last one that the side
            had received when it failed. None where no frame shows the fault.
    """

    side: CulpritSide
    why: str
    basis: Literal[
        "frame", "form", "unsupported", "uncaught", "judge", "row", "column", "trace", "judged",
        "reported", "expectation", "",
    ] = ""  # fmt: skip
    api: str = ""
    frame: _Count | None = None


class Excuse(Struct, frozen=True, omit_defaults=True):
    """An entry of ``deviations.toml`` that excuses a failure.

    Attributes:
        cause: the cause in the implementation's source, or as observed.
        means: what an application sees of it, in one plain sentence.
    """

    peer: str
    role: Role
    cause: str
    means: str = ""

    def __str__(self) -> str:
        return f"{self.peer} ({self.role}): {self.cause}"


class Missing(Struct, frozen=True, omit_defaults=True):
    """What had to come in a cell that failed, and did not.

    Attributes:
        at: where: at a side's application, or on the wire.
        what: what it is, in words.
        t_ms: when it was due: where it would stand in the record.
        author: the side that had to write it, on the wire.
        frame: index into the cell's frames of the one that had to bring it to the application, or
            that it had to answer.
    """

    at: Literal["server", "wire", "client"]
    what: str
    t_ms: float
    author: Role | None = None
    frame: _Count | None = None


class Evidence(Struct, kw_only=True, omit_defaults=True):
    """The evidence of one run of a cell, up to the scenario's end.

    Attributes:
        waited_ms: how long the scenario waited for what a peer should report.
        escapes: whether an exception that escapes a library is not judged here.
        frames: the first frames; `frames_total` is how many there were.
        notifications, requests: None where the cell ended before there was a tap, and in files of
            runs that did not keep them.
        passages: of the judge's own connections, in a red cell: handshakes, and ends of TCP.
        acts: the faults injected that frames do not show.
    """

    waited_ms: _Time = 0.0
    escapes: bool = False
    frames: list[FrameRecord] = []
    frames_total: _Count = 0
    violations: list[ViolationRecord] = []
    notifications: Notifications | None = None
    requests: Requests | None = None
    connections: list[ConnectionRecord] = []
    passages: list[PassageRecord] = []
    acts: list[str] = []


class _Outcome(Evidence, kw_only=True, omit_defaults=True):
    """
    Attributes:
        raised: the text of the failure; empty where the scenario did not fail. None in files of
            runs that did not keep it.
        defect: the part of it that is the same in every run: what is wrong, without the side, the
            time waited and what came instead.
        reporter: the side whose peer reported the failure, or did not report what it had to; None
            where it was seen on the wire, or neither.
        missing: what had to come and did not, as far as the record tells.
        excuses: the known deviations that excuse it, in a cell that is *deviating*.
        unshown: the known deviations that were expected, and did not show: it passed.
    """

    raised: str | None = None
    defect: str = ""
    reporter: Role | None = None
    missing: list[Missing] = []
    excuses: list[Excuse] = []
    unshown: list[Excuse] = []
    setup_ms: _Time = 0.0
    teardown_ms: _Time = 0.0


class _Judged(_Outcome, omit_defaults=True):
    # Fields that are not keyword-only stand before the inherited ones: a line of the file begins
    # with what a reader looks for.
    verdict: Verdict
    reason: str
    duration_ms: _Time


class Attempt(_Judged, omit_defaults=True):
    """One of several runs of a cell.

    Attributes:
        run: its number, from 1.
    """

    run: _Number


class CellResult(_Judged, omit_defaults=True):
    """A cell's result: the verdict on one scenario between one server and one client.

    Attributes:
        server, client: the ids of the row and the column.
        rules: the numbers of the rules that the scenario looks at, as ``docs/spec`` has them.
        reason: the reason of the verdict in words, for readers alone; empty for *passed*.
        again: the command that repeats it, where that is not ``run``.
        culprit: the side at fault, in a red cell.
        vanished: why a known deviation that did not show is not repaired, in words; empty where
            it is.
        printed: the last lines that a program under test printed, in a red cell, where the
            testbed started it and has no control over it.
        pass_rate: the share of its runs that passed, where it ran several times.
        runs: those runs; empty for a cell that ran once.
    """

    server: str
    client: str
    scenario: str
    rule: str
    severity: Literal["must", "should"]
    rules: list[str] = []
    again: str = ""
    culprit: Culprit | None = None
    vanished: str = ""
    printed: list[str] = []
    pass_rate: Annotated[float, Meta(ge=0, le=1)] | None = None
    runs: Annotated[list[Attempt], Meta(extra_json_schema={"minItems": 2})] = []

    @property
    def key(self) -> tuple[str, str, str]:
        """The cell's identity within a run."""
        return self.server, self.client, self.scenario

    @property
    def broken(self) -> list[str]:
        """The numbers of the rules that a red cell is about: what is wrong on the wire comes first.

        A rule of every cell is there only if a message broke it.
        """
        wrong = [each.rule for each in self.violations if each.rule and not each.excused]
        return [*dict.fromkeys([*wrong, *self.rules])]

    def api(self, side: Role) -> str:
        """Return the id of the row or of the column."""
        return self.server if side == "server" else self.client


class Finished(Struct, frozen=True):
    """One run of a cell, as a worker hands it to the main process."""

    run: int
    cell: CellResult


class PeerRecord(Struct, frozen=True, omit_defaults=True):
    """What a peer said of itself before its first cell.

    Attributes:
        runtime: the language's version.
        libraries: the versions of the libraries under test, by their names.
        sources: digests of those libraries' source files: two that are equal are of equal files.
            A peer may leave out a library, or all of them.
    """

    language: str = ""
    runtime: str = ""
    libraries: dict[str, str] = {}
    sources: dict[str, str] = {}

    def other_sources(self, before: PeerRecord) -> list[str]:
        """Return the libraries that have the version that they had before, and other sources.

        A digest that one of the two records lacks tells nothing.
        """
        return [
            name
            for name, version in sorted(self.libraries.items())
            if before.libraries.get(name) == version
            and (was := before.sources.get(name)) is not None
            and self.sources.get(name, was) != was
        ]


class AddedApi(Struct, frozen=True, omit_defaults=True):
    """A row or column of a peer that ``--peers`` added, which no catalogue holds.

    Attributes:
        lacks: what its library lacks, each with the reason.
        older: whether there is a newer version of it.
    """

    role: Role
    id: str
    lacks: dict[str, str] = {}
    older: bool = False


class Commit(Struct, frozen=True):
    """A commit of this repository.

    Attributes:
        id: its hash, in full.
        dirty: whether files differed from it.
    """

    id: str
    dirty: bool


class Shard(Struct, frozen=True):
    """A part of a run's cells, of several that make the whole.

    Attributes:
        number: from 1.
        of: how many there are.
        plan: what is the same in all shards of one run, and in no other's.
    """

    number: _Number
    of: _Number
    plan: str = ""

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class FlakyRecord(Struct, frozen=True):
    """An entry of the file of cells that may fail or pass, and what came of it.

    Attributes:
        server, client, scenarios: the patterns of its cells.
        until: the last day on which it holds.
        over: whether that has passed: it tolerates nothing then.
        cells: how many cells of the run it names.
        failed: those of them that failed and were tolerated: server, client and scenario.
    """

    server: str
    client: str
    scenarios: list[str]
    cause: str
    until: Annotated[str, Meta(extra_json_schema={"format": "date"})]
    over: bool
    cells: _Count
    failed: list[tuple[str, str, str]]


class RunRecord(Struct, frozen=True):
    """A run as a whole; the fields are those of `interop.reports.results.Results`.

    Attributes:
        peers: what the peer of each row and column said of itself, by the row's or column's id.
        stopped: why cells were left out on purpose, and how many; empty if none were.
        commit: None where it cannot be told, as in a container.
        testbed: the version of the testbed where it is installed; empty in a checkout.
        options: the options that a command for one of its cells needs beside those that choose it.
        shard: None where it ran all of its cells.
        known_flaky: the cells that could fail or pass.
        added: all rows and columns of the peers that were added, whether they ran or not.
        unjudged: what a check of one side from outside left out, and why, in words.
        answer: the answer of a gate, in one paragraph; empty for other commands.
    """

    started: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    duration_s: _Time
    engine: EngineName
    servers: list[str]
    clients: list[str]
    not_run: dict[str, str]
    repeat: _Number
    strict: bool
    broken: str
    exit_status: Literal[0, 1, 2]
    counts: Annotated[
        dict[Verdict, _Count],
        Meta(extra_json_schema={"propertyNames": {"enum": list(VERDICTS)}}),
    ]
    stopped: str = ""
    peers: dict[str, PeerRecord] = {}
    commit: Commit | None = None
    testbed: str = ""
    options: list[str] = []
    shard: Shard | None = None
    known_flaky: list[FlakyRecord] = []
    added: list[AddedApi] = []
    unjudged: list[str] = []
    answer: str = ""


class ResultsFile(Struct, frozen=True):
    """``results.json``."""

    format: Literal[1]
    run: RunRecord
    cells: list[CellResult]


def encode(record: Struct | Mapping[str, Any]) -> bytes:
    """Return a record, or records and other plain data by name, as JSON in UTF-8."""
    try:
        return _encoder.encode(record)
    except UnicodeEncodeError:
        # A lone surrogate from a peer: JSON can escape it, UTF-8 cannot encode it.
        return json.dumps(msgspec.to_builtins(record)).encode()


def decode(data: bytes | str, type: type[T]) -> T:
    """Return the record that JSON holds.

    Raises:
        msgspec.ValidationError: it holds something else; says what and where.
        ValueError, RecursionError: it is not JSON.
    """
    try:
        return msgspec.json.decode(data, type=type)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:  # msgspec reads no lone surrogate and no NaN
        return msgspec.convert(json.loads(data), type)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of ``results.json``."""
    (_,), found = msgspec.json.schema_components([ResultsFile], ref_template="#/$defs/{name}")
    for each in found.values():
        each["additionalProperties"] = False
        if "description" in each:  # Python 3.13 takes the indentation away, its predecessors do not
            each["description"] = inspect.cleandoc(each["description"])
    root = found.pop(ResultsFile.__name__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "title": "zaptools interop results",
        "$defs": found,
    }


_encoder = msgspec.json.Encoder()

if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
