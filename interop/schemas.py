"""The JSON Schemas of what a peer's author writes: ``peer.toml``, and the control contract.

They are generated into the folder of this module::

    python -m interop.schemas

`interop.catalog` reads a ``peer.toml`` by itself, for the sake of its messages, and
``docs/peer-contract.md`` is the contract in words; tests hold the schemas to both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .catalog import RUNTIMES
from .control.contract import CONTRACT_VERSION
from .control.operations import FEATURES
from .records import ROLES

__all__ = ["NOTIFICATIONS", "REQUESTS", "SCHEMAS", "contract_schema", "peer_schema", "text"]

_Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ANY: _Schema = {}
_TEXT: _Schema = {"type": "string"}
_NAME: _Schema = {"type": "string", "minLength": 1}
_FLAG: _Schema = {"type": "boolean"}
_WHOLE: _Schema = {"type": "integer"}
_SECONDS: _Schema = {"type": "number", "minimum": 0}
_TEXTS: _Schema = {"type": "array", "items": _TEXT}
_TEXT_BY_NAME: _Schema = {"type": "object", "additionalProperties": _TEXT}


def _object(required: Mapping[str, _Schema], optional: Mapping[str, _Schema]) -> _Schema:
    """Return the schema of an object with these keys, and no others."""
    found: _Schema = {"type": "object", "properties": {**required, **optional}}
    if required:
        found["required"] = list(required)
    return {**found, "additionalProperties": False}


def peer_schema() -> _Schema:
    """Return the JSON Schema of ``peer.toml``."""
    features = "|".join(sorted(map(re.escape, FEATURES)))
    one = f"({features})( [^ ,]+)?"
    api = _object(
        {"role": {"enum": list(ROLES)}, "name": _NAME},
        {
            "version": _NAME,
            "versions": {"type": "array", "items": _NAME, "minItems": 1},
            "package": _NAME,
            "superseded": _FLAG,
            "lacks": {
                "type": "object",
                "propertyNames": {"pattern": f"^{one}(, {one})*$"},
                "additionalProperties": _NAME,
            },
        },
    )
    api["dependentRequired"] = {
        "versions": ["package"],
        "package": ["versions"],
        "superseded": ["versions"],
    }
    api["not"] = {"required": ["version", "versions"]}
    file = _object(
        {
            "language": _NAME,
            "runtime": {"enum": list(RUNTIMES)},
            "api": {"type": "array", "items": {"$ref": "#/$defs/api"}, "minItems": 1},
        },
        {"module": _NAME, "script": _NAME, "control": _FLAG},
    )
    without = [name for name, files in RUNTIMES.items() if not files]
    no_versions = {"properties": {"api": {"items": {"not": {"required": ["versions"]}}}}}
    return {
        "$schema": _DIALECT,
        "title": "zaptools interop: peer.toml",
        **file,
        "allOf": [
            {
                "if": {"properties": {"runtime": {"const": "here"}}},
                "then": {"required": ["module"], "not": {"required": ["script"]}},
                "else": {"required": ["script"], "not": {"required": ["module"]}},
            },
            {"if": {"properties": {"runtime": {"enum": without}}}, "then": no_versions},
        ],
        "$defs": {"api": api},
    }


_EVENT = _object({"event": _TEXT}, {"payload": _ANY, "headers": _ANY})
_LIMITS: dict[str, _Schema] = {
    "message_bytes": {"type": ["integer", "null"]},
    "ping_interval_s": {"type": ["number", "null"]},
    "ping_timeout_s": {"type": ["number", "null"]},
    "close_timeout_s": {"type": ["number", "null"]},
}
_SENT: dict[str, _Schema] = {"payload": _ANY, "headers": _ANY}
_CLOSE: dict[str, _Schema] = {"code": _WHOLE, "reason": _TEXT}
_RECONNECT = _object({"delay_s": _SECONDS}, {"attempts": _WHOLE, "stable_s": _SECONDS})
_OFFLINE = _object({"policy": {"enum": ["queue", "drop"]}}, {"limit": _WHOLE})

REQUESTS: Mapping[str, tuple[Mapping[str, _Schema], Mapping[str, _Schema]]] = {
    "describe": ({}, {}),
    "serve": (
        {"api": _TEXT},
        {
            "path": _TEXT,
            "program": _TEXT,
            "protocols": _TEXTS,
            "origins": _TEXTS,
            "deflate": _FLAG,
            "tls": _TEXT,
            "open_timeout_s": _SECONDS,
            "all": _FLAG,
            "on_connect": {"type": "array", "items": _EVENT},
            "at_connect": _EVENT,
            "at_disconnect": _EVENT,
            **_LIMITS,
        },
    ),
    "push": ({"conn": _TEXT, "event": _TEXT}, _SENT),
    "ask": ({"conn": _TEXT, "event": _TEXT, "timeout": _SECONDS}, {"payload": _ANY}),
    "drop": ({"conn": _TEXT}, _CLOSE),
    "stop": ({}, {}),
    "open": (
        {"api": _TEXT, "url": _TEXT},
        {
            "program": _TEXT,
            "events": _TEXTS,
            "all": _FLAG,
            "protocols": {"type": ["array", "null"], "items": _TEXT},
            "headers": _TEXT_BY_NAME,
            "deflate": _FLAG,
            "ca": _TEXT,
            "callbacks": _FLAG,
            "on_connect": {"type": "array", "items": _EVENT},
            "on_disconnect": {"const": "connect"},
            "reconnect": _RECONNECT,
            "retry": _FLAG,
            "offline": _OFFLINE,
            **_LIMITS,
        },
    ),
    "send": ({"event": _TEXT}, _SENT),
    "request": ({"event": _TEXT, "timeout": _SECONDS}, {"payload": _ANY}),
    "subscribe": ({"events": _TEXTS}, {"all": _FLAG}),
    "close": ({}, _CLOSE),
    "reconnect": ({}, {}),
    "try-reconnect": ({"delay_s": _SECONDS}, {}),
    "clean": ({}, {}),
}
"""Each operation's arguments, those that it always has and those that it may have."""

NOTIFICATIONS: Mapping[str, tuple[Mapping[str, _Schema], Mapping[str, _Schema]]] = {
    "connected": ({}, {"conn": _TEXT}),
    "disconnected": ({}, {"conn": _TEXT, "code": _WHOLE, "reason": _TEXT}),
    "event": (
        {"name": _ANY, "payload": _ANY, "headers": _ANY, "via": {"enum": ["named", "all"]}},
        {"conn": _TEXT},
    ),
    "state": ({"state": {"enum": ["connecting", "online", "offline", "error"]}}, {}),
    "ended": ({"stream": {"enum": ["events", "states"]}}, {}),
    "error": ({"message": _TEXT}, {"conn": _TEXT, "event": _TEXT}),
    "uncaught": ({"message": _TEXT}, {}),
}
"""The keys of each notification, those that it always has and those that it may have."""


def contract_schema() -> _Schema:
    """Return the JSON Schema of one line of a control connection, in either direction."""
    requests = [
        _object({"id": _WHOLE, "op": {"const": op}, **required}, optional)
        for op, (required, optional) in REQUESTS.items()
    ]
    notes = [
        _object({"on": {"const": on}, **required}, optional)
        for on, (required, optional) in NOTIFICATIONS.items()
    ]
    error = _object({"kind": _TEXT, "message": _TEXT}, {})
    by_role: dict[str, _Schema] = {role: _object({}, _LIMITS) for role in ROLES}
    describe = _object(
        {
            "contract": {"const": CONTRACT_VERSION},
            "peer": _TEXT,
            "language": _TEXT,
            "runtime": _TEXT,
            "libraries": _TEXT_BY_NAME,
            "apis": _object({}, dict.fromkeys(ROLES, _TEXTS)),
            "limits": _object({}, by_role),
        },
        {"sources": _TEXT_BY_NAME},
    )
    answers: list[tuple[str, _Schema]] = [
        ("ok", {"type": "object"}),
        ("error", error),
        ("unsupported", _TEXT),
    ]
    replies = [_object({"id": _WHOLE, name: schema}, {}) for name, schema in answers]
    return {
        "$schema": _DIALECT,
        "title": "zaptools interop: a line of the control contract",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in ("request", "reply", "notification")],
        "$defs": {
            "request": {"oneOf": requests},
            "reply": {"oneOf": replies},
            "notification": {"oneOf": notes},
            "describe": describe,
        },
    }


_FOLDER = Path(__file__).parent

SCHEMAS: Mapping[Path, Callable[[], _Schema]] = {
    _FOLDER / "peer.schema.json": peer_schema,
    _FOLDER / "contract.schema.json": contract_schema,
}
"""What makes each file."""


def text(schema: _Schema) -> str:
    """Return a schema as its file has it."""
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    for _path, _make in SCHEMAS.items():
        _path.write_text(text(_make()), "utf-8")
