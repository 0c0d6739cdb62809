"""Whether a version reads what a server wrote, by what was recorded of that version. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..reports.answer import joined
from ..wire.frames import TEXT
from ..wire.vectors import Read, Vectors
from .traits import TRAITS, Message, Trait, parse

__all__ = ["Cause", "Seen", "causes", "effect", "unread"]

_LONG = 1 << 16
"""The bytes up to which every client reads a message."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A message that the server wrote.

    Attributes:
        when: what it was for: the echo of a version's text, or what came besides; a push; the
            answer to an event of ``--ask``.
        asked: the text that it answers; empty for none.
    """

    opcode: int
    data: bytes
    when: Literal["echo", "push", "answer"]
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a version breaks.

    Attributes:
        kind: what it was seen by: ``writes``: its own texts were played; ``reads``: what the server
            writes was looked up; ``answers``: an event of ``--ask`` was sent; ``real``: it was run.
        key: what tells it from others of its kind, the same in every run.
        server: what the server does, as a sentence without its subject, up to the event.
        effect: what that does to the client, as a sentence.
        frame: the text that the server wrote, or that it was sent.
        advice: what to change on the server; empty where that is all said.
        count: how often it was seen.
        event: the event with which it does that, and `manner` the end of that sentence.
    """

    kind: Literal["writes", "reads", "answers", "real"]
    key: str
    server: str
    effect: str
    frame: str = ""
    advice: str = ""
    count: int = 1
    event: str = ""
    manner: str = ""

    @property
    def words(self) -> str:
        """What the server does, as a sentence without its subject."""
        return self.with_events([self.event])

    def with_events(self, events: Sequence[str]) -> str:
        """Return `words` of several causes that differ in their events alone."""
        names = joined([f"`{event}`" for event in events if event])
        return " ".join(filter(None, [self.server, names, self.manner]))

    @property
    def form(self) -> tuple[str, ...]:
        """What causes of the same form have in common."""
        return self.kind, self.server, self.manner, self.effect


def causes(client: Vectors, seen: Iterable[Seen]) -> list[Cause]:
    """Return why a version breaks by what the server wrote: a trait and an event, each once."""
    found: dict[str, Cause] = {}
    for each in seen:
        message = parse(each.opcode, each.data)
        for cause in _causes(client, each, message):
            if (known := found.get(cause.key)) is None:
                found[cause.key] = cause
            else:
                found[cause.key] = replace(known, count=known.count + 1)
    return list(found.values())


def _causes(client: Vectors, seen: Seen, message: Message) -> Iterable[Cause]:
    echo = seen.when == "echo"
    asked = parse(TEXT, seen.asked.encode("utf-8", "surrogatepass")) if echo else None
    if asked is not None and any(t.content for t, _ in unread(client, asked)):
        return  # the version sent what it cannot read itself: no server could give that back
    sends = "sends" if message.event else "sends a message"
    where = message.event or "a message"
    if client.longest and len(seen.data) > max(client.longest, _LONG):
        limit = f"it is known to read up to {client.longest} bytes"
        yield Cause("reads", f"size.{where}", sends, limit, message.text, "send less in one event",
                    event=message.event, manner=f"of {len(seen.data)} bytes")  # fmt: skip
    for trait, read in unread(client, message):
        if asked is not None and trait.content and trait.has(asked):
            continue
        yield Cause("reads", f"{trait.name}.{where}", sends, effect(read), message.text,
                    trait.advice, event=message.event, manner=trait.words)  # fmt: skip


def unread(client: Vectors, message: Message) -> list[tuple[Trait, Read]]:
    """Return the traits of a message that a version does not read, each with what it does."""
    found = []
    for trait in TRAITS:
        if message.wrong and not trait.malformed:
            continue
        if not trait.has(message):
            continue
        reads = client.reads.get(trait.scenario, ())
        if bad := next((read for read in reads if not _is_read(trait, read)), None):
            found.append((trait, bad))
    return found


def _is_read(trait: Trait, read: Read) -> bool:
    if read.escaped:
        return False
    return read.outcome == "delivered" or (read.outcome == "ignored" and not trait.event)


def effect(read: Read) -> str:
    """Return what becomes of a message, as a sentence of its own."""
    words = {
        "delivered": "the app gets the event",
        "altered": f"the app gets something else ({read.got})",
        "ignored": "the app gets no event",
        "ended": "the app gets no event, and the client ends the connection",
        "deaf": "the app hears nothing more on that connection",
    }
    escaped = f", and an exception escapes ({_line(read.escaped)})" if read.escaped else ""
    return words[read.outcome] + escaped


def _line(text: str) -> str:
    return text.partition("\n")[0][:120]
