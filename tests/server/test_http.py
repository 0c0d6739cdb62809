"""Hosts, targets and offers of requests. `tests.test_server` has the answers to them."""

from __future__ import annotations

import pytest

from zaptools.server.http import is_host, offers_websocket, split_target


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", True),
        ("localhost", True),
        ("chat.example:8000", True),
        ("127.0.0.1:", True),
        ("a_b.%41", True),
        ("[::1]:80", True),
        ("[fe80::1%25eth0]", True),
        ("[v1.x:y]", True),
        ("a b", False),
        ("a/b", False),
        ("user@host", False),
        ("host:http", False),
        ("host:1:2", False),
        ("::1", False),
        ("[::1", False),
        ("[x]", False),
        ("%4", False),
        ("a, b", False),
        ("ho\nst", False),
        ("höst", False),
    ],
)
def test_hosts(value: str, expected: bool) -> None:
    assert is_host(value) is expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/ws?a=1", ("/ws?a=1", None)),
        ("//ws", ("//ws", None)),
        ("*", ("*", None)),
        ("x:80", ("x:80", None)),
        ("ftp://x/ws", ("ftp://x/ws", None)),
        ("/http://x/ws", ("/http://x/ws", None)),
        ("http://x/ws?a=1", ("/ws?a=1", "x")),
        ("WSS://x:80/ws", ("/ws", "x:80")),
        ("ws://x", ("/", "x")),
        ("https://x?a=/b", ("/?a=/b", "x")),
        ("http:///ws", ("/ws", "")),
    ],
)
def test_targets(target: str, expected: tuple[str, str | None]) -> None:
    assert split_target(target) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], False),
        (["WebSocket"], True),
        (["h2c, websocket"], True),
        (["h2c", "websocket ,x"], True),
        (["websocket/13", "websockets"], False),
    ],
)
def test_offers_of_an_upgrade(values: list[str], expected: bool) -> None:
    assert offers_websocket(values) is expected
