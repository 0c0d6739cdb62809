"""The evidence of a cell: frames, notifications, requests and violations, as records."""

from __future__ import annotations

import ast
import functools
import json
import linecache
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..control.session import Asked, Session
from ..records import (
    KEPT,
    KEPT_BYTES,
    SECRET_NAMES,
    ConnectionRecord,
    Ended,
    Evidence,
    FrameRecord,
    PassageRecord,
    RequestRecord,
    ViolationRecord,
)
from ..scenarios.scenario import Scenario
from ..wire.http import parse_head
from ..wire.log import Log, Passage
from ..wire.rules import Frame
from ..wire.tap import TapConnection

__all__ = [
    "connections",
    "difference",
    "frames",
    "notes",
    "outside",
    "passages",
    "requests",
    "violations",
    "words",
]

_PLAINLY = "in words: "
"""What the line of an assertion's text begins with that says its difference in words."""

_SHOWN = 5
"""The elements that are named of what is missing or not expected."""

_SHOWN_CHARACTERS = 60
"""The characters that are shown of one of them."""


# The headers of every handshake.
_USUAL = {"host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version"}
_USUAL |= {"sec-websocket-extensions", "user-agent", "accept", "accept-encoding", "cache-control"}
_USUAL |= {"content-length"}


_SECRET_LINE = re.compile(f"(?im)^([^:\r\n]*(?:{SECRET_NAMES})[^:\r\n]*: *)[^\r\n]*")
"""A line of a handshake with a header whose value is not kept."""


def frames(log: Log) -> list[FrameRecord]:
    """Return the first frames that were seen."""
    return [_frame(frame) for frame in log.frames[:KEPT]]


def _frame(frame: Frame) -> FrameRecord:
    return FrameRecord(
        t_ms=_ms(frame.time),
        connection=frame.connection,
        author=frame.author,
        to=frame.to,
        kind=frame.kind,
        length=len(frame.data),
        code=frame.close_code,
        text=frame.data[:KEPT_BYTES].decode("utf-8", "backslashreplace"),
    )


def passages(log: Log) -> list[PassageRecord]:
    """Return what passed beside the frames on the judge's own connections, the first of it."""
    return [_passage(each) for each in log.passages[:KEPT]]


def _passage(each: Passage) -> PassageRecord:
    text = each.data.decode("latin-1")
    return PassageRecord(
        t_ms=_ms(each.time),
        author=each.author,
        to=each.to,
        what=each.what,
        text=_SECRET_LINE.sub(r"\1…", text)[:KEPT_BYTES],
        length=len(each.data),
    )


def outside(facts: Scenario, log: Log) -> Evidence:
    """Return what the judge has seen so far of a side that is not under control."""
    return Evidence(
        escapes=facts.escapes,
        frames=frames(log),
        frames_total=len(log.frames),
        violations=violations(facts, log),
        passages=passages(log),
    )


def connections(relayed: Sequence[TapConnection]) -> list[ConnectionRecord]:
    """Return the connections through the tap: how each was opened, answered and ended."""
    return [_connection(each) for each in relayed[:KEPT]]


def _connection(connection: TapConnection) -> ConnectionRecord:
    asked = parse_head(connection.heads["client"] or b"")
    answered = parse_head(connection.heads["server"] or b"")
    ended = connection.ended_by
    return ConnectionRecord(
        t_ms=_ms(connection.opened),
        target=asked.target,
        headers=[pair for pair in asked.headers if pair[0].lower() not in _USUAL],
        status=answered.status,
        protocol=answered.one("Sec-WebSocket-Protocol"),
        ended=Ended(ended[0], _ms(ended[1])) if ended is not None else None,
        extensions=", ".join(asked.all("Sec-WebSocket-Extensions")),
    )


def requests(session: Session, opened: float) -> list[RequestRecord]:
    """Return the first requests to a peer; `opened` is when the log began."""
    return [_request(asked, opened) for asked in session.requests[:KEPT]]


def _request(asked: Asked, opened: float) -> RequestRecord:
    return RequestRecord(
        op=asked.op,
        args=clipped(dict(asked.args)),
        t_ms=_ms(asked.time - opened),
        done_ms=_ms(asked.done - opened) if asked.outcome else None,
        outcome=asked.outcome,
    )


def violations(facts: Scenario, log: Log) -> list[ViolationRecord]:
    """Return the violations of the wire's rules, with their authors."""
    found = [
        ViolationRecord(
            author=author,
            violation=f"bytes that are no WebSocket frame: {error}",
            excused=author in (*facts.invalid_from, *facts.cuts),
        )
        for author, error in log.frame_errors
    ]
    for index, frame in enumerate(log.frames):
        if frame.author != "judge":
            excused = frame.author in facts.invalid_from
            found += [
                ViolationRecord(frame.author, breach.words, excused, index, breach.rule)
                for breach in frame.violations()
            ]
    return found


def notes(session: Session, opened: float) -> list[dict[str, Any]]:
    """Return a peer's first notifications; `opened` as for `requests`."""
    timed = zip(session.notifications[:KEPT], session.times, strict=False)
    return [{**clipped(note.to_json()), "t_ms": _ms(when - opened)} for note, when in timed]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def clipped(members: dict[str, Any]) -> dict[str, Any]:
    """Return an object with its long values cut; these end with ``…``."""
    return {key: value if _is_short(value) else _clip(value) for key, value in members.items()}


def _is_short(value: object) -> bool:
    """Whether a value needs no measuring; a character takes up to 12 as JSON."""
    if isinstance(value, int):
        return value.bit_length() < 64
    return not value or (isinstance(value, str) and len(value) < KEPT_BYTES // 13)


def _clip(value: object) -> object:
    if isinstance(value, str) and len(value) > KEPT_BYTES:  # the rest need not be written
        return json.dumps(value[:KEPT_BYTES])[:KEPT_BYTES] + "…"
    text = json.dumps(value)
    return value if len(text) <= KEPT_BYTES else text[:KEPT_BYTES] + "…"


def words(raised: BaseException) -> str:
    """Return an exception's text; of an assertion without words of its own, what it expected too.

    Pytest's account of where a value came from is left out: it holds the addresses of objects, so
    that no two runs would fail with the same text. Where an assertion has words, its expression
    says nothing more.
    """
    lines = [line for line in str(raised).split("\n") if not line.lstrip().startswith("+")]
    plain = [line.partition(_PLAINLY)[2] for line in lines if line.lstrip().startswith(_PLAINLY)]
    left_out = ("Use -v to get more diff", *(f"{_PLAINLY}{each}" for each in plain))
    text = "\n".join(line for line in lines if line.strip() not in left_out)
    if not isinstance(raised, AssertionError):
        return text
    if not text or text.startswith("assert "):
        expected = _expected(raised)
        said = [expected and f"expected {expected}", *plain, text]
    else:
        said = [text.partition("\nassert ")[0], *plain]
    return ": ".join(filter(None, said))


def difference(got: Sequence[object], expected: Sequence[object]) -> str:
    """Return a line of an assertion's text that says in what two lists differ; see `words`."""
    texts = [[repr(value) for value in values] for values in (expected, got)]
    counts = [*map(Counter, texts)]
    found = [(counts[0] - counts[1]).elements(), (counts[1] - counts[0]).elements()]
    lacking, beyond = map(_some, map(list, found))
    parts = [lacking and f"missing {lacking}", beyond and f"not expected {beyond}"]
    if not (lacking or beyond):
        pairs = enumerate(zip(*texts, strict=True))
        at = next((n for n, (one, other) in pairs if one != other), 0)
        parts = [f"in another order from index {at} on"]
    return f"{_PLAINLY}{'; '.join(filter(None, parts))}"


def _some(texts: Sequence[str]) -> str:
    most = _SHOWN_CHARACTERS
    shown = [f"{text[:most]}…" if len(text) > most else text for text in texts[:_SHOWN]]
    more = [f"{len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return ", ".join([*shown, *more])


def _expected(raised: AssertionError) -> str:
    """Return the expression of the ``assert`` statement that raised, from its source."""
    traceback = raised.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return ""
    line = traceback.tb_lineno
    tests = _assertions(traceback.tb_frame.f_code.co_filename)
    return next((test for first, last, test in tests if first <= line <= last), "")


@functools.cache
def _assertions(filename: str) -> list[tuple[int, int, str]]:
    """Return first line, last line and expression of every ``assert`` in a file."""
    found = ast.walk(_WithoutAwait().visit(ast.parse("".join(linecache.getlines(filename)))))
    return [
        (node.lineno, node.end_lineno or node.lineno, ast.unparse(node.test))
        for node in found
        if isinstance(node, ast.Assert)
    ]


class _WithoutAwait(ast.NodeTransformer):
    """Leaves out ``await``, which says nothing about the expected value."""

    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self.generic_visit(node).value  # type: ignore[attr-defined,no-any-return]  # an Await
