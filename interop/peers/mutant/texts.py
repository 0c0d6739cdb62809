"""Defects of the messages' text: how events are written, and how messages are read."""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

from interop.peers.mutant.seams import (
    Message,
    Seam,
    event_of,
    override,
    per_connection,
    reads,
    rewrites,
    text_of,
    writes,
)
from zaptools import CodecError

__all__ = ["CLIENT", "SERVER"]

Seed = Callable[[Seam], None]
Text = Callable[[bytes], Iterable[bytes]]
T = TypeVar("T", bound=Message)

_LONG = 1 << 15
"""Bytes of a text that is long for a defect."""


def _replaces(pattern: str, by: str | Callable[[re.Match[str]], str]) -> Seed:
    """Substitute a regular expression in every text that is written."""
    return writes(lambda: lambda data: [re.sub(pattern, by, data.decode()).encode()])


# --- What is written ----------------------------------------------------------------------


def _drops_null_payload(event: dict[str, Any]) -> None:
    if event["payload"] is None:
        del event["payload"]


def _drops_headers_of_slow(event: dict[str, Any]) -> None:
    if event["eventName"] == "slow":
        event["headers"] = {}


def _refuses_in_silence(event: dict[str, Any]) -> None:
    if event["eventName"] == "joined":
        event.update(eventName="unsupported", payload={"event": "join", "why": ""})


def _refuses_no_name(event: dict[str, Any]) -> None:
    if event["eventName"] == "said":
        event.update(eventName="unsupported", payload={"why": "it has no broadcast"})


def _cesu8(data: bytes) -> list[bytes]:
    """Encode each half of a surrogate pair by itself."""
    pairs = data.decode().encode("utf-16-be")
    units = [chr(int.from_bytes(pairs[at : at + 2])) for at in range(0, len(pairs), 2)]
    return ["".join(units).encode("utf-8", "surrogatepass")]


def _carries_headers() -> Text:
    """Keep one headers object for all events, as a mutable default argument would."""
    headers: dict[str, Any] = {}

    def change(data: bytes) -> Iterable[bytes]:
        event = json.loads(data)
        headers.update(event["headers"])
        yield text_of({**event, "headers": headers})

    return change


def _twice_under_load() -> Text:
    """Send every hundredth event twice, as a retry after a full buffer would."""
    count = 0

    def change(data: bytes) -> Iterable[bytes]:
        nonlocal count
        count += 1
        return [data, data] if count % 100 == 99 else [data]

    return change


def _swaps_under_load() -> Text:
    """Send some events late, as a queue beside a full buffer would."""
    numbers = count(1)
    return _behind_the_next(lambda _: next(numbers) % 100 == 49)


def _behind_the_next(late: Callable[[T], bool]) -> Callable[[T], Iterable[T]]:
    """Hold back what `late` accepts until the next one has passed."""
    held: list[T] = []

    def change(data: T) -> Iterable[T]:
        if late(data):
            held.append(data)
            return []
        passed = [data, *held]
        held.clear()
        return passed

    return change


def _loses_end_of_burst() -> Text:
    """Drop events beyond 500 in one turn of the loop."""
    count = 0

    def reset() -> None:
        nonlocal count
        count = 0

    def change(data: bytes) -> Iterable[bytes]:
        nonlocal count
        if count == 0:
            asyncio.get_running_loop().call_soon(reset)
        count += 1
        return [data] if count <= 500 else []

    return change


def _drops_equal() -> Text:
    """Take an event that equals the one before for sent already."""
    last = b""

    def change(data: bytes) -> Iterable[bytes]:
        nonlocal last
        last, before = data, last
        return [] if data == before else [data]

    return change


def _long_last() -> Callable[[T], Iterable[T]]:
    """Pass a long event after the next one, as a thread that encodes or decodes it would."""
    return _behind_the_next(lambda data: len(data) > _LONG)


def _writes_anyhow(transport: Any) -> None:
    """Write what the library refuses to write."""

    async def send(connection: Any, name: str, payload: Any = None, headers: Any = None) -> None:
        try:
            await base.send(connection, name, payload, headers)
        except CodecError:
            event = {"eventName": name, "payload": payload, "headers": headers or {}}
            transport.send(json.dumps(event).encode())

    base = override(transport.connection, send=send)


def _nothing_is_null(event: dict[str, Any]) -> None:
    event["payload"] = event["payload"] or None


def _cuts_wide_objects(event: dict[str, Any]) -> None:
    payload = event["payload"]
    if isinstance(payload, list) and payload and isinstance(payload[0], dict):
        payload[0] = dict(list(payload[0].items())[:1000])


def _loses_deep_events(data: bytes) -> Iterable[bytes]:
    return [] if data.count(b"[") > 200 else [data]


def _truncates(event: dict[str, Any]) -> None:
    if isinstance(event["payload"], str):
        event["payload"] = event["payload"][: 1 << 15]


def _integers_from_doubles(text: str) -> int:
    return int(float(text))


def _numbers_without_fraction(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


# --- What is read -------------------------------------------------------------------------


def _reads_if(accepts: Callable[[str], object]) -> Seed:
    """Drop the texts that `accepts` refuses."""
    return reads(
        lambda transport: lambda old: [old] if isinstance(old, bytes) or accepts(old) else []
    )


def _ends_at(refuses: Callable[[str], object], code: int = 1008) -> Seed:
    """End the connection at a text that `refuses` matches, with that close code; 0 for none."""

    def make(transport: Any) -> Callable[[Message], Iterable[Message]]:
        def change(old: Message) -> Iterable[Message]:
            if isinstance(old, bytes) or not refuses(old):
                return [old]
            if code:
                transport.start_close(code, "")
            else:
                transport.tcp.abort()
            return []

        return change

    return reads(make)


def _drops_headers_beside_nothing(old: Message) -> list[Message]:
    """Drop the headers of an event whose payload a careless test of truth takes for none."""
    event = event_of(old)
    if not event or event.get("payload"):
        return [old]
    return [text_of({**event, "headers": {}}).decode()]


def _takes_any_name(old: Message) -> list[Message]:
    """Take what is no string for the text of a name."""
    event = event_of(old)
    if isinstance(event.get("eventName", ""), str):
        return [old]
    return [text_of({**event, "eventName": json.dumps(event["eventName"])}).decode()]


def _takes_any_headers(old: Message) -> list[Message]:
    """Take headers that are no object for empty ones."""
    event = event_of(old)
    if isinstance(event.get("headers"), dict | None):
        return [old]
    return [text_of({**event, "headers": {}}).decode()]


def _keeps_last_of_two_keys(old: Message) -> list[Message]:
    event = event_of(old)
    return [text_of(event).decode()] if event else [old]


def _folds_case(old: Message) -> list[Message]:
    event = event_of(old)
    name = event.get("eventName")
    return [text_of({**event, "eventName": name.strip().lower()}).decode()] if name else [old]


def _reads_texts(change: Callable[[str], object]) -> Seed:
    """Take the texts of a list for something else."""

    def read(old: Message) -> list[Message]:
        event = event_of(old)
        payload = event.get("payload")
        if not isinstance(payload, list):
            return [old]
        event["payload"] = [change(each) if isinstance(each, str) else each for each in payload]
        return [text_of(event).decode()]

    return reads(lambda transport: read)


def _parsed(value: Any) -> Any:
    with suppress(ValueError):
        return json.loads(value) if isinstance(value, str) else value
    return value


def _parses_texts(old: Message) -> list[Message]:
    """Take a payload that is a text for the JSON that it holds, if it does."""
    event = event_of(old)
    if not isinstance(text := event.get("payload"), str):
        return [old]
    return [text_of({**event, "payload": _parsed(text)}).decode()]


def _parses_header_texts(old: Message) -> list[Message]:
    event = event_of(old)
    if not isinstance(headers := event.get("headers"), dict):
        return [old]
    parsed = {name: _parsed(value) for name, value in headers.items()}
    return [text_of({**event, "headers": parsed}).decode()]


def _drops_members(old: Message) -> list[Message]:
    """Lose a key that assigning to an object of JavaScript's would not add."""
    event = event_of(old)
    payload = event.get("payload")
    if not isinstance(payload, list) or payload[:1] == [] or not isinstance(payload[0], dict):
        return [old]
    payload[0].pop("__proto__", None)
    return [text_of(event).decode()]


def _composes_names(old: Message) -> list[Message]:
    """Compose the characters of names."""
    event = event_of(old)
    if not isinstance(name := event.get("eventName"), str):
        return [old]
    return [text_of({**event, "eventName": unicodedata.normalize("NFC", name)}).decode()]


def _inherits_a_handler(old: Message) -> list[Message]:
    """Find a handler for a name that every object of JavaScript's has."""
    event = event_of(old)
    if event.get("eventName") != "constructor":
        return [old]
    return [text_of({**event, "eventName": "echo"}).decode()]


def _drops_read_headers(old: Message) -> list[Message]:
    event = event_of(old)
    return [text_of({**event, "headers": {}}).decode()] if event else [old]


def _lets_malformed_escape(transport: Any) -> Callable[[Message], Iterable[Message]]:
    def change(old: Message) -> Iterable[Message]:
        if event_of(old):
            return [old]
        error = ValueError("Unexpected character")
        context = {"message": "reading a message", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
        return []

    return change


def _drops_unawaited_replies(transport: Any) -> Callable[[Message], Iterable[Message]]:
    """Drop each reply whose request has had one, or was given up."""
    over: list[str | None] = []

    def forget(mailbox: Any, waiter: Any) -> None:
        over.append(waiter.reply_to)
        base.forget(mailbox, waiter)

    def change(old: Message) -> Iterable[Message]:
        headers = event_of(old).get("headers") or {}
        return [] if "replyTo" in headers and headers["replyTo"] in over else [old]

    base = override(transport.dispatcher.mailbox, forget=forget)
    return change


def _keeps_errors(data: bytes) -> Iterable[bytes]:
    return [] if "replyError" in json.loads(data)["headers"] else [data]


def _lowers_header_names(event: dict[str, Any]) -> None:
    headers = event["headers"]
    own = ("replyTo", "requestId", "replyError")
    event["headers"] = {k if k in own else k.lower(): v for k, v in headers.items()}


def _lowers_keys(event: dict[str, Any]) -> None:
    if isinstance(payload := event["payload"], dict):
        event["payload"] = {k.lower(): v for k, v in payload.items()}


_KEYS = {"eventName", "payload", "headers"}

SERVER: Mapping[str, Seed] = {
    "event-name-key": _replaces('"eventName"', '"event_name"'),
    "writes-no-headers": rewrites(lambda event: event.update(headers={})),
    "null-payload-absent": rewrites(_drops_null_payload),
    "integers-as-floats": rewrites(lambda event: None, parse_int=float),
    "ascii-only": _replaces("[^\x00-\x7f]", "?"),
    "astral-as-two": writes(lambda: _cesu8),
    "raw-controls": _replaces(r"\\u00([01][0-9a-f])", lambda m: chr(int(m[1], 16))),
    "escapes-twice": _replaces(r"\\([nrt])", r"\\\\\1"),
    "lone-surrogates": per_connection(_writes_anyhow),
    "writes-deeper-than-it-reads": per_connection(_writes_anyhow),
    "truncates-long-text": rewrites(_truncates),
    "nothing-is-null": rewrites(_nothing_is_null),
    "cuts-wide-objects": rewrites(_cuts_wide_objects),
    "lowers-header-names": rewrites(_lowers_header_names),
    "headers-carried-over": writes(_carries_headers),
    "sends-twice-under-load": writes(_twice_under_load),
    "reorders-under-load": writes(_swaps_under_load),
    "equal-sent-once": writes(_drops_equal),
    "long-sent-late": writes(_long_last),
    "loses-end-of-burst": writes(_loses_end_of_burst),
    "reply-without-id": rewrites(lambda event: event["headers"].pop("replyTo", None)),
    "failure-unanswered": writes(lambda: _keeps_errors),
    "error-without-text": rewrites(lambda event: event["headers"].pop("replyError", None)),
    "slow-loses-headers": rewrites(_drops_headers_of_slow),
    "refuses-without-reason": rewrites(_refuses_in_silence),
    "refuses-without-name": rewrites(_refuses_no_name),
    "refuses-empty-name": _ends_at(lambda text: event_of(text).get("eventName") == ""),
    "refuses-unknown-keys": _reads_if(lambda text: not event_of(text).keys() - _KEYS),
    "needs-name-first": _reads_if(lambda text: next(iter(event_of(text)), "") == "eventName"),
    "needs-headers": _reads_if(lambda text: "headers" in event_of(text)),
    "needs-compact-text": _reads_if(lambda text: not re.match(r"\s", text)),
    "dies-of-byte-order-mark": _ends_at(lambda text: text.startswith("\ufeff"), 0),
    "malformed-unreported": _reads_if(event_of),
    "unawaited-reply-lost": reads(_drops_unawaited_replies),
    "folds-case-of-names": reads(lambda transport: _folds_case),
    "headers-lost-beside-nothing": reads(lambda transport: _drops_headers_beside_nothing),
    "any-name-is-text": reads(lambda transport: _takes_any_name),
    "any-headers-are-none": reads(lambda transport: _takes_any_headers),
    "long-read-late": reads(lambda transport: _long_last()),
    "last-of-two-keys": reads(lambda transport: _keeps_last_of_two_keys),
    "composes-names": reads(lambda transport: _composes_names),
    "composes-texts": _reads_texts(lambda text: unicodedata.normalize("NFC", text)),
    "parses-texts": reads(lambda transport: _parses_texts),
    "parses-header-texts": reads(lambda transport: _parses_header_texts),
    "numbers-from-texts": _reads_texts(lambda text: int(text) if text.isdigit() else text),
}
"""Defects of servers."""

CLIENT: Mapping[str, Seed] = {
    "payload-key": _replaces('"payload"', '"data"'),
    "payload-as-text": rewrites(lambda event: event.update(payload=json.dumps(event["payload"]))),
    "drops-headers": reads(lambda transport: _drops_read_headers),
    "integers-through-double": rewrites(lambda event: None, parse_int=_integers_from_doubles),
    "floats-as-integers": rewrites(lambda event: None, parse_float=_numbers_without_fraction),
    "sends-nothing-as-null": rewrites(_nothing_is_null),
    "loses-64-kib": writes(lambda: lambda data: [data] if len(data) <= 0xFFFF else []),
    "loses-deep-events": writes(lambda: _loses_deep_events),
    "drops-line-separators": _replaces("[\u2028\u2029]", ""),
    "lowers-keys": rewrites(_lowers_keys),
    "sends-headers-of-before": writes(_carries_headers),
    "duplicates-under-load": writes(_twice_under_load),
    "swaps-under-load": writes(_swaps_under_load),
    "merges-equal": writes(_drops_equal),
    "sends-long-late": writes(_long_last),
    "failure-kept-secret": writes(lambda: _keeps_errors),
    "error-without-id": rewrites(lambda event: event["headers"].pop("replyTo", None)),
    "null-headers-refused": _ends_at(lambda text: event_of(text).get("headers", 0) is None, 1007),
    "empty-payload-refused": _reads_if(lambda text: "payload" in event_of(text)),
    "drops-headers-beside-nothing": reads(lambda transport: _drops_headers_beside_nothing),
    "takes-any-name": reads(lambda transport: _takes_any_name),
    "handles-long-late": reads(lambda transport: _long_last()),
    "drops-unawaited-replies": reads(_drops_unawaited_replies),
    "malformed-escapes": reads(_lets_malformed_escape),
    "revives-dates": _reads_texts(lambda text: re.sub(r"(?<=:\d\d)Z$", ".000Z", text)),
    "drops-keys-like-members": reads(lambda transport: _drops_members),
    "inherits-a-handler": reads(lambda transport: _inherits_a_handler),
}
"""Defects of clients."""
