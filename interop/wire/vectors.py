"""What every version of every peer writes and reads, recorded from runs and kept in ``vectors/``.

A change of a codec can be checked against them without any peer, as
`tests/interop/wire/test_vectors.py` does with this repository's, and so can a server's text, as
`interop.gate` does. A file holds what one API wrote in `SCENARIOS`, whose texts do not depend on
chance, always with the same partner; a client's also holds what became of what the judge wrote to
it in `READS`, and which rules of `KEPT_RULES` it kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..catalog import JUDGE_IDS
from ..errors import TestbedError
from ..places import PACKAGE
from ..records import OTHER, ROLES, CellResult, FrameRecord, Role
from .rules import differ

__all__ = [
    "KEPT_RULES",
    "PARTNERS",
    "READS",
    "SCENARIOS",
    "VECTORS_DIR",
    "Read",
    "Vectors",
    "load",
    "record",
    "write",
]

VECTORS_DIR = PACKAGE / "vectors"

SCENARIOS = ("echo.*", "events.*", "headers.*", "payload.*")

READS = (
    "form.client.*",
    "form.escapes",
    "form.number.*",
    "form.white-space",
    "headers.read.*",
    "malformed.to-client.*",
)
"""The scenarios in which the judge writes one message after the other to a client."""

KEPT_RULES = (
    "response.deflate.*",
    "response.subprotocol-not-offered.*",
)
"""The scenarios of whose outcome a client's file tells, and nothing more."""

_SIZES = ("amount.16-mebibytes", "amount.declared-limit")
"""The scenarios in which the judge writes messages as long as the client takes them."""

PARTNERS = {"server": "python/ZapConsumer", "client": "python/ZapServer"}
"""For each role, the API on the other side of the recorded cells."""

_PROBE = "still there?"
"""The payload of the event that the judge writes behind another, to see whether it is read."""

_ENDS = ("offline", "error")

_UNENCODABLE = "$unencodable"
"""The member by which a peer tells of a value that JSON cannot hold, as the contract has it."""


@dataclass(frozen=True, slots=True)
class Read:
    """What became of a message that the judge wrote to a client.

    Attributes:
        text: the message; of a binary one its text too.
        outcome: ``delivered`` as it was sent; ``altered``: delivered as something else;
            ``ignored``: it reached no handler, and the next event did; ``ended``: the client ended
            the connection; ``deaf``: it did not, and read nothing more.
        got: what was altered, and how.
        escaped: the exception that escaped the library; empty for none.
    """

    text: str
    outcome: Literal["delivered", "altered", "ignored", "ended", "deaf"]
    got: str = ""
    escaped: str = ""


@dataclass(frozen=True, slots=True)
class Vectors:
    """What one API writes, and of a client what it reads.

    Attributes:
        texts: a scenario's id and its text messages, each once.
        reads: a scenario's id and what became of each message, in order.
        kept: a scenario's id and the defect; empty where the rule was kept.
        longest: the bytes of the longest message that it read; 0 where that was not tried.
        extensions: what its handshake offers, as it does.
    """

    api: str
    role: str
    texts: Mapping[str, list[str]]
    reads: Mapping[str, list[Read]] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    longest: int = 0
    extensions: str = ""

    @property
    def file_name(self) -> str:
        return f"{self.api.replace('/', '-')}.{self.role}.json"


def record(cells: Iterable[CellResult]) -> list[Vectors]:
    """Return the vectors in a run's cells, without texts that the results cut short.

    Raises:
        TestbedError: no cell has any: the run lacked the partners, or the scenarios.
    """
    found: dict[tuple[str, Role], dict[str, Any]] = {}

    def of(api: str, role: Role) -> dict[str, Any]:
        empty: dict[str, Any] = {"texts": {}, "reads": {}, "kept": {}}
        return found.setdefault((api, role), empty)

    for cell in cells:
        for role in ROLES:
            if cell.api(OTHER[role]) == PARTNERS[role] and _fits(cell, SCENARIOS):
                texts = dict.fromkeys(_texts(cell, role))
                if texts:
                    of(cell.api(role), role)["texts"][cell.scenario] = list(texts)
                if role == "client" and cell.connections and cell.connections[0].extensions:
                    of(cell.client, role)["extensions"] = cell.connections[0].extensions
        if cell.server in JUDGE_IDS and cell.verdict not in ("unsupported", "error"):
            _read_by(cell, of(cell.client, "client"))
    if not any(each["texts"] for each in found.values()):
        partners = " and ".join(PARTNERS.values())
        raise TestbedError(f"no text to record: that needs cells with {partners}")
    return [
        Vectors(api, role, **{key: _ordered(value) for key, value in each.items()})
        for (api, role), each in sorted(found.items())
        if each["texts"]
    ]


def _ordered(value: Any) -> Any:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def _fits(cell: CellResult, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(cell.scenario, pattern) for pattern in patterns)


def _read_by(cell: CellResult, client: dict[str, Any]) -> None:
    """Add what a cell of the judge's shows of its client."""
    if _fits(cell, READS):
        if reads := _reads(cell):
            client["reads"][cell.scenario] = reads
    elif _fits(cell, KEPT_RULES):
        client["kept"][cell.scenario] = cell.defect or cell.raised or ""
    elif _fits(cell, _SIZES) and not cell.raised:
        lengths = [frame.length for frame in cell.frames if _is_message(frame)]
        client["longest"] = max([client.get("longest", 0), *lengths])


def _is_message(frame: FrameRecord) -> bool:
    return frame.author == "judge" and frame.kind in ("text", "binary")


def _reads(cell: CellResult) -> list[Read]:
    """Return what became of the judge's messages.

    The client was given them one after the other: only the last may have reached no handler.
    """
    written = [f.text for f in cell.frames if _is_message(f) and _is_whole(f)]
    sent = [text for text in written if _PROBE not in text]
    notes = [] if cell.notifications is None else cell.notifications.clients[0]
    events = [note for note in notes if note["on"] == "event"]
    heard = [note for note in events if note.get("payload") != _PROBE]
    escaped = next((str(note["message"]) for note in notes if note["on"] == "uncaught"), "")
    # Where the scenario passed, it compared them: a library may have one type for all numbers.
    passed = not cell.raised and not cell.scenario.startswith("malformed.")
    reads = []
    for number, text in enumerate(sent):
        if number < len(heard):
            got = "" if passed else _altered(text, heard[number])
            reads.append(Read(text, "altered" if got else "delivered", got))
        elif number == len(heard):
            reads.append(Read(text, _unheard(cell, written, events), escaped=escaped))
    return reads


def _unheard(
    cell: CellResult, written: Sequence[str], events: Sequence[Mapping[str, Any]]
) -> Literal["ignored", "ended", "deaf"]:
    assert cell.notifications is not None
    states = [note.get("state") for note in cell.notifications.clients[0] if note["on"] == "state"]
    closed = any(f.author == "client" and f.kind == "close" for f in cell.frames)
    if closed or any(state in _ENDS for state in states):
        return "ended"
    probed = any(_PROBE in text for text in written)
    heard = any(note.get("payload") == _PROBE for note in events)
    return "deaf" if probed and not heard else "ignored"


def _altered(text: str, event: Mapping[str, Any]) -> str:
    """Return where and how an event differs from its message; empty if it does not."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(message, dict):
        return ""
    payload, headers = event.get("payload"), event.get("headers")
    if str(payload).endswith("…") or (isinstance(payload, dict) and _UNENCODABLE in payload):
        payload = message.get("payload")  # it is cut in the results, or none that JSON can hold
    for what, sent, got in (
        ("payload", message.get("payload"), payload),
        ("headers", message.get("headers") or {}, headers),
    ):
        if difference := differ(sent, got, what):
            return difference
    return ""


def _texts(cell: CellResult, author: str) -> Iterator[str]:
    for frame in cell.frames:
        if frame.author == author and frame.kind == "text" and _is_whole(frame):
            yield frame.text


def _is_whole(frame: FrameRecord) -> bool:
    return len(frame.text.encode("utf-8", "surrogatepass")) == frame.length


def write(vectors: Iterable[Vectors], directory: Path = VECTORS_DIR) -> list[Path]:
    """Write a file for each API, replacing its earlier one."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for each in vectors:
        path = directory / each.file_name
        data = {key: value for key, value in msgspec.to_builtins(each).items() if value}
        data["texts"] = each.texts
        for reads in data.get("reads", {}).values():
            reads[:] = [{k: v for k, v in read.items() if v or k == "text"} for read in reads]
        path.write_text(json.dumps(data, ensure_ascii=True, indent=1) + "\n", "utf-8")
        paths.append(path)
    return paths


def load(directory: Path = VECTORS_DIR) -> list[Vectors]:
    """Read all recorded vectors.

    Raises:
        TestbedError: a file has another form; names it.
    """
    found = []
    for path in sorted(directory.glob("*.json")):
        try:
            # Not msgspec's own decoder: a text may hold a lone surrogate, as JSON escapes it.
            data = json.loads(path.read_text("utf-8"))
            found.append(msgspec.convert(data, Vectors))
        except (ValueError, msgspec.ValidationError) as exc:
            raise TestbedError(f"{path}: not recorded vectors ({exc!r})") from exc
    return found
