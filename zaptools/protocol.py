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
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from . import _jsonpath
from .exceptions import CodecError

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

_LOCATE_LIMIT = 1 << 16
"""Longest text searched for the path of a problem: the search is pure Python, and a peer
must not be able to buy much of it with one message."""


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
_encode = msgspec.json.Encoder(enc_hook=_jsonpath.to_plain).encode
_decode = msgspec.json.Decoder(EventData).decode
_decode_any = msgspec.json.Decoder().decode
_EMPTY_HEADERS_LAST = ',"headers":{}}'
_UNSET = msgspec.UNSET
_NAME_AT = len('{"eventName":"')
_may_be_nonfinite = re.compile(b'n(?:ull|an":|f":)').search
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


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
            rest: keys that are no strings are written as strings, of which two must not be the
            same (``1`` and ``"1"``), and a `msgspec.Raw` is written as it stands.
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
        and (_jsonpath.has_nonfinite(payload) or _jsonpath.has_nonfinite(headers))
    ):
        _refuse_value(event_name, payload, headers, None)
    return data


def _is_allowed(data: bytes, parts: list[Any]) -> bool:
    """Tell whether a long event may be sent: `data`, which is `parts` and their names."""
    if _jsonpath.is_simple(parts, _FEW):
        return True
    if _may_be_nonfinite(data, _NAME_AT) and _jsonpath.has_nonfinite(parts):
        return False
    brackets = data.count(b"[") + data.count(b"{")
    return _jsonpath.is_within(parts, MAX_DEPTH, brackets) or not _is_too_deep(data)


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
    try:
        event = _decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _decode_slowly(text, max_depth)
    if len(text) > 2 * max_depth:
        return event if _is_sound(text, event, max_depth) else _decode_slowly(text, max_depth)
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
        return _decode_slowly(text, max_depth)
    return event


def _is_sound(text: str, event: EventData, max_depth: int) -> bool:
    """Tell whether `event`, read from a long text, is all that the text holds, and no deeper
    than allowed; may err on the side of False.

    The colons tell, as above, if there are none but those of the keys of a flat event. Else it
    is written again: what comes out as it went in has no key twice, none that is ignored, and
    lost nothing else. Most programs write JSON the same way, and to compare costs next to
    nothing. If this one does not (spaces, other escapes), the colons of both must be as many.
    """
    data = text.encode()
    payload, headers = event.payload, event.headers
    whole: Any = [payload, headers]  # as deep as the event
    keys = 3 + len(headers) + (len(payload) if type(payload) is dict else 0)
    if not _jsonpath.looks_flat(payload) or not _has_all(text, event, keys, data.count(b":")):
        try:
            again = _encode(event)
        except RecursionError:
            return False
        if again != data and (
            _has_escaped_colon(text)
            or not _has_all(text, event, again.count(b":"), data.count(b":"))
        ):
            whole = _read_again(text)
            if whole is _UNSET:
                return False
    if max_depth > _FEW and _jsonpath.is_simple([whole], _FEW):
        return True
    return _jsonpath.is_within(whole, max_depth, data.count(b"[") + data.count(b"{"))


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
        text = data.decode(errors="replace")
        raise CodecError("not-utf8", where=exc.start, text=text, detail=exc.reason) from None


def _decode_slowly(text: str, max_depth: int) -> EventData:
    """Decode with every rule checked one by one: the definition of what `decode_event` does."""
    strange = ""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal strange
        result = dict(items)
        if len(result) != len(items):
            strange = strange or "duplicate-key"
        return result

    def number(token: str) -> float | int:
        nonlocal strange
        try:
            return int(token)
        except ValueError:
            strange = strange or "number"
            return 0

    def fraction(token: str) -> float:
        nonlocal strange
        value = float(token)
        if not math.isfinite(value):
            strange = strange or "number"
        return value

    try:
        value = json.loads(
            text,
            object_pairs_hook=pairs,
            parse_int=number,
            parse_float=fraction,
            parse_constant=fraction,
        )
    except RecursionError:
        raise CodecError("nesting", text=text, detail=f"deeper than {max_depth} levels") from None
    except json.JSONDecodeError as exc:
        where = len(text[: exc.pos].encode(errors="surrogatepass"))
        raise CodecError("not-json", where=where, text=text, detail=exc.msg) from None
    if not strange and _has_surrogate(text, value):
        strange = "surrogate"
    if not strange and _jsonpath.depth(value) > max_depth:
        strange = "nesting"
    if strange:
        _refuse_text(text, max_depth, strange)
    return _from_object(text, value)


def _has_surrogate(text: str, value: Any) -> bool:
    try:
        text.encode()
        if _SURROGATE_ESCAPE.search(text):
            _encode(value)
    except UnicodeEncodeError:
        return True
    except RecursionError:
        return False  # then it is nested too deep, which is found next
    return False


def _from_object(text: str, value: Any) -> EventData:
    if not isinstance(value, dict):
        kind = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
        detail = f"{kind.get(type(value), 'a number')} where an object must be"
        raise CodecError("not-object", text=text, detail=detail)
    if "eventName" not in value:
        raise CodecError("event-name", where="$.eventName", text=text, detail="missing")
    name = value["eventName"]
    if not isinstance(name, str):
        raise CodecError("event-name", where="$.eventName", text=text, detail="not a string")
    headers = value.get("headers")
    if headers is None:
        headers = {}
    elif not isinstance(headers, dict):
        raise CodecError("headers", where="$.headers", text=text, detail="not an object")
    return EventData(name, value.get("payload"), headers)


def _refuse_text(text: str, max_depth: int, reason: str) -> NoReturn:
    problem = _jsonpath.find_in_text(text, max_depth) if len(text) <= _LOCATE_LIMIT else None
    if problem is None:
        raise CodecError(reason, text=text, detail="somewhere in a text too long to search")
    raise CodecError(problem.reason, where=problem.where, text=text, detail=problem.detail)


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
        return _jsonpath.depth(_decode_any(data)) > MAX_DEPTH
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return True  # too deep to be read even, or a msgspec.Raw that is no JSON


def _refuse_value(
    name: str, payload: Any, headers: Mapping[str, Any], cause: BaseException | None
) -> NoReturn:
    event = {"eventName": name, "payload": payload, "headers": headers}
    problem = _jsonpath.find_in_value(event, MAX_DEPTH)
    if problem is None:
        raise CodecError("type", detail=str(cause) or "cannot be written as JSON") from cause
    raise CodecError(problem.reason, where=problem.where, detail=problem.detail) from cause
