"""The wire: one WebSocket text message is one event. Text in, `EventData` out, and back.

A message is a JSON object (RFC 8259) with three keys::

    {"eventName":"greet","payload":{"name":"Ada"},"headers":{}}

``eventName`` is a string and required. ``payload`` is any JSON value; absent means null.
``headers`` is an object; absent and null mean empty. Other keys are ignored.

This module does no I/O. What it refuses, it refuses with `CodecError`, in both directions:
NaN and Infinity, integers with more digits than Python converts (4300, see
`sys.set_int_max_str_digits`), numbers that overflow a double, lone surrogates, duplicate
keys, nesting past the limit.

msgspec does the work. It differs from these rules in three points (measured with 0.19 to
0.22): it writes NaN and Infinity as null (as keys, as ``"nan"`` and ``"inf"``), it lets the
last of two equal keys win, and its nesting limit is the interpreter's. Cheap checks on its
result decide whether the slow way, which is the definition, has to be asked.

A text costs no more than four times what `json.loads` takes for it, and what any short one does:
a peer must not be able to buy much time with a few bytes. So all that is done for each part of a
text is done in C, also to find out what is wrong with it and where.
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

__all__ = ["LIFECYCLE_EVENTS", "MAX_DEPTH", "EventData", "decode_event", "encode_event"]

LIFECYCLE_EVENTS = frozenset({"connected", "disconnected", "error"})
"""Names that belong to a connection's life. A server never lets a client's message fire them."""

MAX_DEPTH = 256
"""How deep arrays and objects may lie in each other, the event's own object counted.

Below the interpreter's recursion limit (1000 by default), so that the answer to deep nesting
does not depend on how deep the caller's stack happens to be.
"""

_SHALLOW = 2 * MAX_DEPTH
"""Longest text that cannot be nested too deep: each level takes two characters, its brackets.
Also where checks that cost a call begin to pay."""

_FEW = 32
"""How many parts of a long event are looked at one by one to save a search of all its text."""

_LONG = 1 << 12
"""Length of a text from which on it pays to look at it before it is decoded."""

_STRIDE = random.choice((61, 67, 71, 73, 79, 83, 89, 97))
"""Of so many characters of a long text, one is looked at to guess what the others are. A peer does
not know which."""

_WIDE = 64
"""Characters from one comma to the next, on average, in a text of a few long values."""

_FLOATS = 2
"""How many points in a text's beginning make it worth while to look for exponents in all of it."""

_SPARSE = 16
"""Of so many characters at most one is an E, where that look costs less than it saves."""


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


class _NoHeaders(msgspec.Struct, rename={"event_name": "eventName"}, gc=False):
    event_name: str
    payload: Any


class _Whole(_NoHeaders, gc=False):
    """What is written. To make one takes 15 ns less than an `EventData`."""

    headers: dict[str, Any]


_EMPTY: dict[str, Any] = {}  # written, never handed out
_encode = msgspec.json.Encoder(enc_hook=jsonpath.to_plain).encode


def _to_float(digits: str) -> float:
    """Return a float, for msgspec, which takes 8 µs itself for one such as 1e290 (0.22).

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
"""For texts with floats, but none with an exponent: in a tenth of the time."""

_EMPTY_HEADERS_LAST = ',"headers":{}}'
_UNSET = msgspec.UNSET
_NAMES = frozenset({"eventName", "payload", "headers"})
_NOTHING: frozenset[str] = frozenset()
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
            and the like: docs/wire.md has the table. Default None, written as ``null``. Two
            things are the caller's to see to, because to check them costs as much as all the
            rest: keys that are no strings are written as strings, ``True`` as ``"1"`` like the 1
            that it equals, and no two must be the same (``1`` and ``"1"``); a `msgspec.Raw` is
            written as it stands.
        headers: an object; None (the default) is written as ``{}``.
        omit_empty_headers: leave empty headers out. Default False: zaptools_client 0.2 and
            0.3 and zaptools_server 0.3.0 (Dart) fail on a message without ``headers``.

    Raises:
        CodecError: a part of the event cannot be written; `reason` and `where` say which.
    """
    if type(event_name) is not str:
        event_name = _as_str(event_name)
    if payload is _UNSET:  # which msgspec leaves out
        _refuse_value(event_name, payload, headers or _EMPTY, None)
    if headers is None:
        headers = _EMPTY
    elif type(headers) is not dict:
        headers = _as_dict(headers)
    try:
        if omit_empty_headers and not headers:
            data = _encode(_NoHeaders(event_name, payload))
        else:
            data = _encode(_Whole(event_name, payload, headers))
    except Exception as exc:  # the value's own code may raise anything
        _refuse_value(event_name, payload, headers, exc)
    # NaN and Infinity can only hide where a null stands, or a key that ends like them. One
    # search for both, because a second one takes 100 ns; each "n" that it meets takes 15.
    if len(data) > _SHALLOW:
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
    """Tell whether a long event may be sent: `data`, which is `parts` and their names."""
    if jsonpath.is_simple(parts, _FEW):
        return True
    if _may_be_nonfinite(data, _NAME_AT) and jsonpath.has_nonfinite(parts):
        return False
    brackets = data.count(b"[") + data.count(b"{")
    return jsonpath.is_within(parts, MAX_DEPTH, brackets) or not _is_too_deep(data)


def decode_event(
    data: bytes | bytearray | memoryview | str, *, max_depth: int = MAX_DEPTH
) -> EventData:
    """Return the event that a message's text holds.

    Args:
        data: the text, or its UTF-8 bytes.
        max_depth: how deep arrays and objects may lie in each other. Default `MAX_DEPTH`.

    Raises:
        CodecError: the text is no event; `reason` and `where` say why. Nothing else is raised,
            whatever the text.
        TypeError: `data` is neither text nor bytes.
    """
    text = data if type(data) is str else _from_utf8(data)
    if len(text) > 2 * max_depth:
        return _decode_long(text, max_depth)
    try:
        event = _decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _decode_slowly(text, max_depth)
    # Every key has a colon: with no more colons than distinct keys, no key came twice. A null
    # payload or empty headers may have been absent, which would hide one.
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
    ) and _read_again(text) is _UNSET:
        return _decode_slowly(text, max_depth, event)
    return event


def _may_have_exponent(text: str) -> bool:
    """Tell whether there may be a float with an exponent; in strings there may be what looks so."""
    if _small_exponent(text) is not None:
        return True
    return "E" in text and _capital_exponent(text) is not None


def _decode_long(text: str, max_depth: int) -> EventData:
    """Decode a text that may be nested too deep."""
    sample = text[::_STRIDE]
    commas = sample.count(",") * _STRIDE
    if len(text) < _LONG:
        return _decode_with(_decode, text, max_depth, commas)
    with jsonpath.no_collections():
        if sample.count('"') * 5 > len(sample) * 2:
            # Nearly all of it are strings of one character. Of these msgspec makes each anew, in
            # three times what `json` takes, which has them already.
            return _decode_slowly(text, max_depth)
        if (
            text.count(".", 0, 512) > _FLOATS
            and (text.count("e") + text.count("E")) * _SPARSE < len(text)
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
        return _decode_slowly(text, max_depth)
    if _is_sound(text, event, max_depth, commas):
        return event
    return _decode_slowly(text, max_depth, event)


def _is_sound(text: str, event: EventData, max_depth: int, commas: int) -> bool:
    """Tell whether `event`, read from a long text, is all that the text holds, and no deeper
    than allowed; may err on the side of False.

    The colons tell, as above, if there are none but those of the keys of a flat event. Else it
    is written again: what comes out as it went in has no key twice, none that is ignored, and
    lost nothing else. Most programs write JSON the same way, and to compare costs next to
    nothing. If this one does not (spaces, other escapes), the colons of both must be as many.
    """
    payload, headers = event.payload, event.headers
    keys = 3 + len(headers) + (len(payload) if type(payload) is dict else 0)
    is_wide = commas * _WIDE < len(text)
    if not (is_wide or jsonpath.looks_flat(payload)) or not _has_all(
        text, event, keys, text.count(":")
    ):
        if is_wide:
            return False  # to write long strings, and integers above all, takes longer
        try:
            again = _encode(event)
        except RecursionError:
            return False
        if again != text.encode() and (
            _has_escaped_colon(text)
            or not _has_all(text, event, again.count(b":"), text.count(":"))
        ):
            return False
    if max_depth > _FEW and jsonpath.is_simple([payload, headers], _FEW):
        return True
    # To look at each value pays only where there are few.
    brackets = text.count("[") + text.count("{") if commas * _FEW < 2 * len(text) else 0
    if brackets and jsonpath.is_within([payload, headers], max_depth, brackets):
        return True
    return jsonpath.is_text_within(text, max_depth)


def _has_all(text: str, event: EventData, keys: int, colons: int) -> bool:
    """Tell whether an event with so many keys is all that is in a text with so many colons.

    A null payload or empty headers may have been absent, which would hide one.
    """
    if event.payload is None:
        return False
    if event.headers:
        return colons == keys
    return colons == keys - 1 or (colons == keys and text.endswith(_EMPTY_HEADERS_LAST))


def _has_escaped_colon(text: str) -> bool:
    return "\\u003" in text and ("\\u003a" in text or "\\u003A" in text)


def _read_again(text: str) -> Any:
    """Return the value of `text`, ignored keys included, if no key comes twice in its object.

    May err on the side of UNSET, which it returns otherwise. Of two equal keys the decoder keeps
    one, which loses at least one colon; nothing adds a colon but an escaped one in a string.
    """
    if _has_escaped_colon(text):
        return _UNSET
    try:
        value = _decode_any(text)
        again = _encode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _UNSET
    return value if again.count(b":") == text.count(":") else _UNSET


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
        text = data[:_SHALLOW].decode(errors="replace")  # more is not kept
        raise CodecError("not-utf8", where=exc.start, text=text, detail=exc.reason) from None


def _decode_slowly(text: str, max_depth: int, event: EventData | None = None) -> EventData:
    """Decode with every rule checked one by one: the definition of what `decode_event` does.

    Args:
        text: the text.
        max_depth: how deep arrays and objects may lie in each other.
        event: what msgspec made of it, if it has been read, and only the other rules are open.
    """
    reason = "nesting"
    try:
        reason, members = jsonpath.find_reason(
            text, max_depth, read=_NOTHING if event is None else _NAMES
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
        return True  # too deep to be read even, or a msgspec.Raw that is no JSON


def _refuse_value(
    name: str, payload: Any, headers: Mapping[str, Any], cause: BaseException | None
) -> NoReturn:
    event = {"eventName": name, "payload": payload, "headers": headers}
    problem = jsonpath.find_in_value(event, MAX_DEPTH)
    if problem is None:
        raise CodecError("type", detail=str(cause) or "cannot be written as JSON") from cause
    raise CodecError(problem.reason, where=problem.where, detail=problem.detail) from cause
