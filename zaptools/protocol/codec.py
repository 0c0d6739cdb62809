"""The wire: one WebSocket text message is one event. Text in, `EventData` out, and back.

A message is a JSON object (RFC 8259) with three keys::

    {"eventName":"greet","payload":{"name":"Ada"},"headers":{}}

``eventName`` is a string and required. ``payload`` is any JSON value; absent means null.
``headers`` is an object; absent and null mean empty. Other keys are ignored.

This module does no I/O. In both directions it refuses, with `CodecError`: NaN and Infinity,
integers with more digits than Python converts (4300, see `sys.set_int_max_str_digits`), numbers
that overflow a double, lone surrogates, duplicate keys, and nesting beyond the limit.

msgspec does the work. It differs from these rules in three points (measured with 0.19 to 0.22): it
writes NaN and Infinity as null (as keys, as ``"nan"`` and ``"inf"``), the last of two equal keys
wins, and its nesting limit is the interpreter's. Cheap checks of its result detect the texts for
which that may matter; these are decoded again by `decode_by_rules`, the definition of the format::

    text ──> msgspec ──> cheap checks ── passed ──────────> EventData
               │              │
            refused        in doubt ──> decode_by_rules ──> EventData, or CodecError

Decoding a text takes at most four times as long as `json.loads`, or as long as any short text: a
peer must not cause much work with few bytes. So everything that is done per part of a text is done
in C, including the search for what is wrong and where.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

import msgspec

from ..exceptions import CodecError
from . import jsonpath

__all__ = [
    "LIFECYCLE_EVENTS",
    "MAX_DEPTH",
    "EventData",
    "decode_by_rules",
    "decode_event",
    "encode_event",
    "has_unique_keys",
    "is_lossless",
]

LIFECYCLE_EVENTS = frozenset({"connected", "disconnected", "error"})
"""Names of a connection's lifecycle events. On a server, a client's message never fires them."""

MAX_DEPTH = 256
"""Levels of arrays and objects in each other, the event's own object included.

Below the interpreter's recursion limit (1000 by default), so that the answer to deep nesting does
not depend on the depth of the caller's stack.
"""

_SAFE_LENGTH = 2 * MAX_DEPTH
"""Longest text that cannot be nested too deep: each level takes two characters, its brackets.
Above this length, checks that cost a function call pay off too."""

_FEW_PARTS = 32
"""Parts of a long event that are inspected one by one to save a search of its whole text."""

_LONG_TEXT = 1 << 12
"""Length from which inspecting a text before decoding it pays off."""

_SAMPLE_STRIDE = random.choice((61, 67, 71, 73, 79, 83, 89, 97))
"""A sample of a long text takes one of this many characters, to estimate what the others are.
Random, so that a peer cannot write a text for which the estimate is wrong."""

_WIDE_GAP = 64
"""Characters between two commas, on average, from which a text counts as few long values."""

_FLOAT_POINTS = 2
"""Points in a text's first 512 characters from which searching it for exponents pays off."""

_SPARSE_E = 16
"""That search is skipped where more than one of this many characters is an E: it stops at each."""


class EventData(msgspec.Struct, rename={"event_name": "eventName"}):
    """One event.

    Attributes:
        event_name: its name.
        payload: any JSON value; default None.
        headers: an object; default empty, never None after decoding.
    """

    event_name: str
    payload: Any = None
    headers: dict[str, Any] = msgspec.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the event under the names it has on the wire."""
        return {"eventName": self.event_name, "payload": self.payload, "headers": self.headers}


class _WithoutHeaders(msgspec.Struct, rename={"event_name": "eventName"}, gc=False):
    event_name: str
    payload: Any


class _WithHeaders(_WithoutHeaders, gc=False):
    """An event as it is written. Making one takes 15 ns less than making an `EventData`."""

    headers: dict[str, Any]


_EMPTY: dict[str, Any] = {}  # only written: no caller gets it
_encode = msgspec.json.Encoder(enc_hook=jsonpath.to_plain).encode


def _to_float(digits: str) -> float:
    """Return a float, for msgspec: its own parser takes 8 µs for one such as 1e290 (0.22).

    Raises:
        ValueError: it is out of range.
    """
    number = float(digits)
    if number - number != 0.0:
        raise ValueError("out of a double's range")
    return number


_decode = msgspec.json.Decoder(EventData, float_hook=_to_float).decode
_decode_any = msgspec.json.Decoder(float_hook=_to_float).decode
_decode_floats = msgspec.json.Decoder(EventData).decode
"""For texts of floats without an exponent: msgspec's parser takes a tenth of the time then."""

_EMPTY_HEADERS_LAST = ',"headers":{}}'
_UNSET = msgspec.UNSET
_NAMES = frozenset({"eventName", "payload", "headers"})
_NO_NAMES: frozenset[str] = frozenset()
_NAME_AT = len('{"eventName":"')
_small_exponent = re.compile("e[-+0-9]").search
_capital_exponent = re.compile("E[-+0-9]").search
_may_be_nonfinite = re.compile(b'n(?:ull|an":|f":)').search


def encode_event(
    event_name: str,
    payload: Any = None,
    headers: Mapping[str, Any] | None = None,
    *,
    omit_empty_headers: bool = False,
) -> bytes:
    """Return an event as compact UTF-8 JSON, its keys in the order name, payload, headers.

    Args:
        event_name: the event's name.
        payload: any JSON value; also dataclasses, structs, pydantic models, enums, dates, UUIDs
            and the like: docs/wire.md has the table. Default None, written as ``null``. Two things
            are not checked, because that would cost as much as all the rest: keys that are not
            strings are written as strings, ``True`` as ``"1"`` like the 1 that it equals, and two
            must not become the same (``1`` and ``"1"``); and a `msgspec.Raw` is written as it is.
        headers: an object; None (the default) is written as ``{}``.
        omit_empty_headers: leave empty headers out. Default False: zaptools_client 0.2 and
            0.3 and zaptools_server 0.3.0 (Dart) fail on a message without ``headers``.

    Raises:
        CodecError: a part of the event cannot be written; `reason` and `where` say which.
    """
    if type(event_name) is not str:
        event_name = _as_str(event_name)
    if payload is _UNSET:  # msgspec would leave it out
        _refuse_value(event_name, payload, headers or _EMPTY, None)
    if headers is None:
        headers = _EMPTY
    elif type(headers) is not dict:
        headers = _as_dict(headers)
    try:
        if omit_empty_headers and not headers:
            data = _encode(_WithoutHeaders(event_name, payload))
        else:
            data = _encode(_WithHeaders(event_name, payload, headers))
    except Exception as exc:  # the value's own code may raise anything
        _refuse_value(event_name, payload, headers, exc)
    # msgspec writes NaN and Infinity as null, or as a key that ends like them. One search for
    # both, because a second one takes 100 ns; each "n" on the way takes 15.
    if len(data) > _SAFE_LENGTH:
        if not _is_allowed(data, [payload, headers]):
            _refuse_value(event_name, payload, headers, None)
    elif (
        (payload is not None or headers)
        and _may_be_nonfinite(data, _NAME_AT)
        and (jsonpath.has_nonfinite(payload) or jsonpath.has_nonfinite(headers))
    ):
        _refuse_value(event_name, payload, headers, None)
    return data


def _is_allowed(data: bytes, parts: list[Any]) -> bool:
    """Return whether a long event may be sent: `data` is the event, `parts` its values."""
    if jsonpath.is_simple(parts, _FEW_PARTS):
        return True
    if _may_be_nonfinite(data, _NAME_AT) and jsonpath.has_nonfinite(parts):
        return False
    brackets = data.count(b"[") + data.count(b"{")
    return jsonpath.is_within(parts, MAX_DEPTH, brackets) or not _is_too_deep(data)


def decode_event(
    data: bytes | bytearray | memoryview | str, *, max_depth: int = MAX_DEPTH
) -> EventData:
    """Return the event of a message's text.

    Args:
        data: the text, or its UTF-8 bytes.
        max_depth: how deep arrays and objects may lie in each other. Default `MAX_DEPTH`.

    Raises:
        CodecError: the text is not an event; `reason` and `where` say why. No text raises
            anything else.
        TypeError: `data` is neither text nor bytes.
    """
    text = data if type(data) is str else _from_utf8(data)
    if len(text) > 2 * max_depth:
        return _decode_long(text, max_depth)
    try:
        event = _decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return decode_by_rules(text, max_depth)
    # Every key has a colon: with no more colons than distinct keys, no key is there twice. A null
    # payload or empty headers may have been absent, and then one colon more would go unnoticed.
    payload = event.payload
    headers = event.headers
    keys = 3 + len(payload) if type(payload) is dict else 3
    if headers:
        keys += len(headers)
    colons = text.count(":")
    if (
        payload is None
        or not (
            (colons == keys and (headers or text.endswith(_EMPTY_HEADERS_LAST)))
            or (colons == keys - 1 and not headers)
        )
    ) and not has_unique_keys(text):
        return decode_by_rules(text, max_depth, event)
    return event


def _may_have_exponent(text: str) -> bool:
    """Return whether a text may have a float with an exponent; a string may look like one."""
    if _small_exponent(text) is not None:
        return True
    return "E" in text and _capital_exponent(text) is not None


def _decode_long(text: str, max_depth: int) -> EventData:
    """Decode a text that may be nested too deep."""
    sample = text[::_SAMPLE_STRIDE]
    commas = sample.count(",") * _SAMPLE_STRIDE
    if len(text) < _LONG_TEXT:
        return _decode_with(_decode, text, max_depth, commas)
    with jsonpath.no_collections():
        if sample.count('"') * 5 > len(sample) * 2:
            # Nearly all of it are strings of one character. msgspec makes a new object for each,
            # in three times what `json` takes, which shares them.
            return decode_by_rules(text, max_depth)
        if (
            text.count(".", 0, 512) > _FLOAT_POINTS
            and (text.count("e") + text.count("E")) * _SPARSE_E < len(text)
            and not _may_have_exponent(text)
        ):
            return _decode_with(_decode_floats, text, max_depth, commas)
        return _decode_with(_decode, text, max_depth, commas)


def _decode_with(
    decode: Callable[[str], EventData], text: str, max_depth: int, commas: int
) -> EventData:
    try:
        event = decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return decode_by_rules(text, max_depth)
    if is_lossless(text, event, max_depth, commas):
        return event
    return decode_by_rules(text, max_depth, event)


def is_lossless(text: str, event: EventData, max_depth: int, commas: int) -> bool:
    """Return whether `event`, decoded from a long text, has all of the text, and no deeper levels
    than allowed. May return False for an event that has.

    For a flat event the colons are counted, as in `decode_event`. Any other is encoded again: if
    that gives the same text, it has no key twice, no ignored key, and nothing else was lost. Most
    programs write JSON the same way, and comparing costs next to nothing. Where they do not
    (spaces, other escapes), both texts must have the same number of colons.
    """
    payload, headers = event.payload, event.headers
    keys = 3 + len(headers) + (len(payload) if type(payload) is dict else 0)
    is_wide = commas * _WIDE_GAP < len(text)
    if not (is_wide or jsonpath.looks_flat(payload)) or not _has_all_colons(
        text, event, keys, text.count(":")
    ):
        if is_wide:
            return False  # encoding long strings, and long integers above all, takes longer
        try:
            again = _encode(event)
        except RecursionError:
            return False
        if again != text.encode() and (
            _has_escaped_colon(text)
            or not _has_all_colons(text, event, again.count(b":"), text.count(":"))
        ):
            return False
    if max_depth > _FEW_PARTS and jsonpath.is_simple([payload, headers], _FEW_PARTS):
        return True
    # Inspecting each value pays off only where there are few.
    brackets = text.count("[") + text.count("{") if commas * _FEW_PARTS < 2 * len(text) else 0
    if brackets and jsonpath.is_within([payload, headers], max_depth, brackets):
        return True
    return jsonpath.is_text_within(text, max_depth)


def _has_all_colons(text: str, event: EventData, keys: int, colons: int) -> bool:
    """Return whether an event with this number of keys is all of a text with that many colons.

    A null payload or empty headers may have been absent, and then one colon more would go
    unnoticed.
    """
    if event.payload is None:
        return False
    if event.headers:
        return colons == keys
    return colons == keys - 1 or (colons == keys and text.endswith(_EMPTY_HEADERS_LAST))


def _has_escaped_colon(text: str) -> bool:
    return "\\u003" in text and ("\\u003a" in text or "\\u003A" in text)


def has_unique_keys(text: str) -> bool:
    """Return whether no object of a JSON text has a key twice. May return False for one.

    Of two equal keys the decoder keeps one, so encoding its value again gives fewer colons; only
    an escaped colon in a string could make up for that.
    """
    if _has_escaped_colon(text):
        return False
    try:
        again = _encode(_decode_any(text))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return again.count(b":") == text.count(":")


def _from_utf8(data: bytes | bytearray | memoryview | str) -> str:
    if isinstance(data, str):
        return str(data)
    if isinstance(data, memoryview):
        data = bytes(data)
    elif not isinstance(data, (bytes, bytearray)):
        raise TypeError(f"a message must be str or bytes, not {type(data).__name__}")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        text = data[:_SAFE_LENGTH].decode(errors="replace")  # the error keeps no more
        raise CodecError("not-utf8", where=exc.start, text=text, detail=exc.reason) from None


def decode_by_rules(text: str, max_depth: int, event: EventData | None = None) -> EventData:
    """Decode with every rule checked one by one: the definition of `decode_event`.

    Args:
        text: the text.
        max_depth: how deep arrays and objects may lie in each other.
        event: the event that msgspec decoded, for which only the other rules need a check.
            Default None: msgspec refused the text.

    Raises:
        CodecError: the text is not an event.
    """
    reason = "nesting"  # of a RecursionError
    try:
        reason, members = jsonpath.find_reason(
            text, max_depth, read=_NO_NAMES if event is None else _NAMES
        )
        if not reason:
            return event or _from_members(text, members)
    except json.JSONDecodeError as exc:
        where = len(text[: exc.pos].encode(errors="surrogatepass"))
        raise CodecError("not-json", where=where, text=text, detail=exc.msg) from None
    except RecursionError:
        pass
    search = partial(jsonpath.find_in_text, text, max_depth, reason)
    raise CodecError(reason, text=text, search=search) from None


def _from_members(text: str, members: dict[str, Any] | None) -> EventData:
    if members is None:
        value = json.loads(text)
        kind = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
        detail = f"{kind.get(type(value), 'a number')} where an object must be"
        raise CodecError("not-object", text=text, detail=detail)
    if "eventName" not in members:
        raise CodecError("event-name", where="$.eventName", text=text, detail="missing")
    if type(members["eventName"]) is not str:
        raise CodecError("event-name", where="$.eventName", text=text, detail="not a string")
    value = json.loads(text)
    headers = value.get("headers")
    if headers is None:
        headers = {}
    elif not isinstance(headers, dict):
        raise CodecError("headers", where="$.headers", text=text, detail="not an object")
    return EventData(value["eventName"], value.get("payload"), headers)


def _as_str(name: Any) -> str:
    if isinstance(name, str):
        return str.__str__(name)
    kind = type(name).__name__
    raise CodecError("event-name", where="$.eventName", detail=f"a name of type {kind}")


def _as_dict(headers: Any) -> dict[str, Any]:
    if isinstance(headers, Mapping):
        try:
            return dict(headers)
        except Exception as exc:  # the mapping's own code may raise anything
            detail = f"a mapping that cannot be read: {exc!r}"
            raise CodecError("headers", where="$.headers", detail=detail) from exc
    kind = type(headers).__name__
    raise CodecError("headers", where="$.headers", detail=f"headers of type {kind}")


def _is_too_deep(data: bytes) -> bool:
    try:
        return jsonpath.depth(_decode_any(data)) > MAX_DEPTH
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return True  # too deep to decode, or a msgspec.Raw that is not JSON


def _refuse_value(
    name: str, payload: Any, headers: Mapping[str, Any], cause: BaseException | None
) -> NoReturn:
    event = {"eventName": name, "payload": payload, "headers": headers}
    problem = jsonpath.find_in_value(event, MAX_DEPTH)
    if problem is None:
        raise CodecError("type", detail=str(cause) or "cannot be written as JSON") from cause
    raise CodecError(problem.reason, where=problem.where, detail=problem.detail) from cause
