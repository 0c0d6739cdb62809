"""URLs: the parts of valid ones, and the messages of invalid ones."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from zaptools import InvalidUrlError, ZapConsumer
from zaptools.client.url import parse_url


@pytest.mark.parametrize(
    "bad",
    [
        "", "127.0.0.1", "http://x/", "ws://", "ws:///x", "ws://x/#y", "ws://u@x/", "ws://x:y/",
        "ws://x /", "ws://a..b/",
    ],
)  # fmt: skip
def test_urls(bad: str) -> None:
    with pytest.raises(InvalidUrlError) as info:
        parse_url(bad)
    assert info.value.url == bad.replace("u@", "***@").replace("#y", "#***")
    with pytest.raises(InvalidUrlError):
        ZapConsumer(bad)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (None, "it must be a str, not NoneType: write it as 'ws://host:port/path'"),
        (b"ws://x", "not bytes"),
        (SimpleNamespace(scheme="ws", host="x"), "pass str(url)"),
        ("http://x", "write ws://"),
        ("https://x", "write wss://"),
        ("x:8000/ws", "write ws://, before the host"),
        ("ws:///x", "write ws://host:port/path"),
        ("ws://u@x", "write user:password@"),
        ("ws://x/#y", "write %23"),
        ("ws://[::1]8000/", "there is text between its host and its port"),
    ],
)
def test_messages_of_invalid_urls(bad: Any, words: str) -> None:
    with pytest.raises(InvalidUrlError, match=re.escape(words)):
        ZapConsumer(bad)


def test_a_zone() -> None:
    """The resolver takes a bare mark; in a URL it may be encoded or bare."""
    for url in ("ws://[fe80::1%25eth0]:80/", "ws://[fe80::1%eth0]:80/"):
        assert parse_url(url).host == "fe80::1%eth0"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ws://x/a b?c=d e", "/a%20b?c=d%20e"),
        ("ws://x/x HTTP/1.1", "/x%20HTTP/1.1"),
        ("ws://x/é?é", "/%C3%A9?%C3%A9"),
        ("ws://x/%C3%A9?q=%41é+", "/%C3%A9?q=%41%C3%A9+"),  # once, not twice
        ("ws://bücher.example/%2541", "/%2541"),
        ("ws://x/a;b=c/(d)?e={f}|g", "/a;b=c/(d)?e={f}|g"),
        ("ws://x", "/"),
        ("ws://x?a", "/?a"),
    ],
)
def test_request_targets(url: str, target: str) -> None:
    """A target in a request line has no spaces, and is ASCII (RFC 9112, section 3)."""
    assert parse_url(url).resource_name == target


@pytest.mark.parametrize("rest", ["\0", "a\nb", "a\tb", "?a=\x7f", "\r\nX: y"])
def test_control_characters(rest: str) -> None:
    with pytest.raises(InvalidUrlError, match="it has a control character"):
        parse_url(f"ws://x/{rest}")


def test_a_lone_surrogate() -> None:
    with pytest.raises(InvalidUrlError):
        parse_url("ws://x/\ud800")


def test_no_url() -> None:
    with pytest.raises(InvalidUrlError):
        parse_url(None)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    "host", ["a..b", ".a", "a" * 64 + ".example", "a\0b", "a b", "a%\t", "é" * 60, "a<b"]
)
def test_invalid_host_names(host: str) -> None:
    with pytest.raises(InvalidUrlError):
        ZapConsumer(f"ws://{host}/")


@pytest.mark.parametrize("host", ["a.example.", "my_service", "xn--bcher-kva.example", "bücher.de"])
def test_valid_host_names(host: str) -> None:
    ZapConsumer(f"ws://{host}/")
