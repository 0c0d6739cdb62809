"""Texts that others wrote, on their way to a log."""

from __future__ import annotations

import pytest

from zaptools._text import clip, is_secret, printable, redact


def test_clip() -> None:
    assert clip("x" * 200) == "x" * 200
    assert clip("x" * 201) == "x" * 200 + "…"
    assert clip("abc", 2) == "ab…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with spaces, é and 🌍", "plain, with spaces, é and 🌍"),
        ("a\nb\r\x1b[2J\x00\x7f", r"a\nb\r\x1b[2J\x00\x7f"),
        ("\u202eright to left\u2028\ud800", r"\u202eright to left\u2028\ud800"),
        ('it\'s "C:\\n"', 'it\'s "C:\\n"'),
        ("x\n" * 200, r"x\n" * 100 + "…"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://h:80/a@b", "ws://h:80/a@b"),
        ("ws://[::1]:80/@b", "ws://[::1]:80/@b"),
        ("ws://ada:secret@h:80/a@b", "ws://***@h:80/a@b"),
        ("ws://secret@h", "ws://***@h"),
        ("ws://h/?a=secret&b=se=cret&secret&c=", "ws://h/?a=***&b=***&***&c="),
        ("ws://ada:se/cret@h/", "ws://***@h/"),
        ("ws://ada:se?cret@h/", "ws://***@h/"),
        ("ws://ada:se#cret@h/", "ws://***@h/"),
        ("ws://h/#token=secret", "ws://h/#***"),
        ("ws://h/?a=b#secret", "ws://h/?a=***#***"),
        ("ws://ada:12#secret@h/", "ws://ada:12#***"),
        ("ws://h/#", "ws://h/#"),
        ("ada:secret@h/", "***@h/"),
        ("ws:/ada:secret@h/", "***@h/"),
        ("ws://h/\n\x1b", r"ws://h/\n\x1b"),
        ("", ""),
    ],
)
def test_redact(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize("name", ["Authorization", "Set-Cookie", "X-Api-Key", "X-CSRF-Token"])
def test_headers_with_secrets(name: str) -> None:
    assert is_secret(name) and is_secret(name.upper())


@pytest.mark.parametrize("name", ["Host", "Sec-WebSocket-Key", "Origin", "User-Agent"])
def test_headers_without_secrets(name: str) -> None:
    assert not is_secret(name)
