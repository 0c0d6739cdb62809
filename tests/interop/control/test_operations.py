"""What each operation asks of a library, and what may therefore be lacking."""

from __future__ import annotations

from typing import Any

import pytest

from interop.control.operations import asked_of, is_lack


@pytest.mark.parametrize(
    ("op", "arguments", "asked"),
    [
        ("clean", {}, {"clean"}),
        ("open", {"api": "A", "url": "u", "events": [], "all": False}, {"open"}),
        ("open", {"api": "A", "url": "u", "headers": {}, "all": True},
         {"open", "open headers", "open all"}),
        ("open", {"reconnect": {"delay_s": 1}, "retry": True},
         {"open", "open reconnect", "open retry"}),
        ("try-reconnect", {"delay_s": 1}, {"try-reconnect"}),
        ("close", {"code": 4000, "reason": None}, {"close", "close code"}),
        ("send", {"event": "e", "payload": 1, "headers": {}}, {"send"}),
        ("send", {"event": "e", "payload": 1}, {"send", "send no-headers"}),
        ("request", {"event": "e", "payload": 1, "timeout": 2.0}, {"request"}),
        ("to-room", {"room": "r", "event": "x"}, {"rooms"}),
        ("close-me", {"code": 1}, {"close-me", "close-me code"}),
    ],
)  # fmt: skip
def test_what_a_request_asks_of_a_library(
    op: str, arguments: dict[str, Any], asked: set[str]
) -> None:
    assert asked_of(op, arguments) == asked


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clean", True),
        ("close code", True),
        ("send no-headers", True),
        ("close-me", True),
        ("rooms", True),
        ("join", False),
        ("describe", False),
        ("fly", False),
        ("open all headers", False),
        (1, False),
    ],
)
def test_what_a_library_may_lack(name: object, expected: bool) -> None:
    assert is_lack(name) is expected
