"""Texts that others wrote, on their way to a log."""

from __future__ import annotations

import pytest

from zaptools._text import clip, printable, redact


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
        ("ada:secret@h/", "***@h/"),
        ("ws:/ada:secret@h/", "***@h/"),
        ("ws://h/\n\x1b", r"ws://h/\n\x1b"),
        ("", ""),
    ],
)
def test_redact(url: str, shown: str) -> None:
    assert redact(url) == shown
