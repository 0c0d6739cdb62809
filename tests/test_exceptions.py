"""The error tree: facts as attributes, words on demand, and copies that keep both."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from zaptools import exceptions
from zaptools.exceptions import (
    AlreadyConnectedError,
    BufferOverflowError,
    CodecError,
    ConnectError,
    ConnectionClosedError,
    ConnectTimeoutError,
    HandshakeError,
    InvalidUrlError,
    NameTakenError,
    NoRequestError,
    NotConnectedError,
    OfflineQueueFullError,
    PayloadError,
    ProxyError,
    RegistrationError,
    RemoteError,
    ReservedEventError,
    SendTimeoutError,
    ServerStateError,
    WrongThreadError,
    ZapError,
)
from zaptools.protocol import EventData

URL = "ws://127.0.0.1/"

WORDS = [
    (CodecError("not-json", where=7, text="{", detail="no"), "not-json at byte 7: no (in '{')"),
    (CodecError("number", where="$.payload"), "number at $.payload"),
    (RegistrationError("handler", 3), "handler must be a callable, not 3"),
    (RegistrationError("handler", len), "handler must be a plain function or a coroutine function"),
    (RegistrationError("event name", None), "event name must be a str, not None"),
    (RegistrationError("handler", print, "no"), "handler print: no"),
    (RegistrationError("handler", ..., "no"), "handler Ellipsis: no"),
    (PayloadError("a", "$.b", "no"), "the payload of 'a': no at $.b"),
    (NoRequestError("a"), "the event 'a' is not a request: its headers have no requestId"),
    (ProxyError("ws://a", "no", status=407), "cannot connect to ws://a: no"),
    (RemoteError("no\n"), r"no\n"),
    (
        RemoteError("no\n", reply=EventData("a", 1, {"replyTo": "1", "replyError": "no\n"})),
        r"the peer's reply to 'a' is an error: no\n",
    ),
    (ReservedEventError("error"), "the peer sent an event with the reserved name 'error'"),
    (ConnectionClosedError(4000, "x", "local"), "connection closed by this side, code 4000: x"),
    (ConnectionClosedError(1000, "", "remote"), "connection closed by the peer, code 1000"),
    (ConnectionClosedError(1006), "connection lost, code 1006"),
    (SendTimeoutError(1.5), "the peer read nothing for 1.5 s"),
    (SendTimeoutError(0), "the peer does not read, and send_timeout is 0"),
    (SendTimeoutError(0, backlog=9), "the peer does not read, and 9 bytes are unsent"),
    (NotConnectedError(), "the client is not connected"),
    (OfflineQueueFullError(2), "the offline send queue is full: 2 events wait to be sent; "),
    (AlreadyConnectedError(URL, "x"), f"the client cannot connect to {URL} yet: x"),
    (AlreadyConnectedError(URL), f"the client is already connected, or connecting, to {URL}"),
    (ConnectError(URL, "no"), f"cannot connect to {URL}: no"),
    (InvalidUrlError(URL, "no"), f"cannot connect to {URL}: no"),
    (ConnectTimeoutError(URL, "no"), f"cannot connect to {URL}: no"),
    (HandshakeError(URL, "no", status=403, headers={"a": "b"}, body=b"c"), "cannot connect"),
    (NameTakenError("room name", "a"), "the room name 'a' is taken"),
    (BufferOverflowError(4), "the stream's reader is more than 4 events behind"),
    (ServerStateError("no"), "no"),
    (WrongThreadError(), "this call would block the event loop that it waits for"),
]


@pytest.mark.parametrize(("error", "words"), WORDS, ids=lambda value: type(value).__name__)
def test_words(error: ZapError, words: str) -> None:
    assert str(error).startswith(words)


@pytest.mark.parametrize("error", [error for error, _ in WORDS], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("how", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_copies_are_equal(error: ZapError, how: object) -> None:
    again = how(error)  # type: ignore[operator]  # both are functions
    assert type(again) is type(error)
    assert again.__dict__ == error.__dict__
    assert again.args == error.args
    assert str(again) == str(error)


def test_one_tree() -> None:
    classes = [
        value
        for name, value in vars(exceptions).items()
        if inspect.isclass(value) and issubclass(value, BaseException)
    ]
    assert len(classes) == 21
    assert all(issubclass(each, ZapError) for each in classes)
    assert {type(error) for error, _ in WORDS} == set(classes) - {ZapError}


def test_every_class_is_in_the_drawing() -> None:
    drawing = exceptions.__doc__ or ""
    for error, _ in WORDS:
        assert type(error).__name__ in drawing


def test_a_remote_error() -> None:
    reply = EventData("a", 1, {"replyTo": "1", "replyError": "x\n" * 1000})
    error = RemoteError(reply.headers["replyError"], reply=reply)
    assert (error.message, error.event_name) == ("x\n" * 1000, "a")
    assert error.headers is reply.headers
    assert len(str(error)) < 2000
    made = RemoteError("no")
    assert (made.reply, made.event_name, made.headers) == (None, "", {})


def test_what_others_wrote_is_one_printable_line() -> None:
    bad = "\x1b[31m\r\n" * 1000
    for error in (
        CodecError("number", where=bad, text=bad, detail=bad),
        PayloadError(bad, bad, bad),
        ReservedEventError(bad),
        NoRequestError(bad),
        RemoteError(bad, reply=EventData(bad)),
        ConnectionClosedError(4000, bad[:123], "remote"),
        HandshakeError("ws://h/" + bad, bad),
        NameTakenError("connection id", bad),
    ):
        assert str(error).isprintable() and len(str(error)) < 5000, type(error)


def test_builtin_parents() -> None:
    assert isinstance(CodecError("x"), ValueError)
    assert isinstance(PayloadError("a", "$", "no"), ValueError)
    assert isinstance(SendTimeoutError(1), TimeoutError)
    assert isinstance(ConnectTimeoutError(URL, ""), TimeoutError)
    assert isinstance(InvalidUrlError(URL, ""), ValueError)


def test_long_text_is_clipped() -> None:
    assert len(CodecError("not-json", text="x" * 1000).text) == 81
    assert len(PayloadError("a", "$", "x" * 1000).reason) == 201
    assert len(HandshakeError(URL, "", body=b"x" * 5000).body) == 1024


@pytest.mark.parametrize("text", ["a" * 1_000_000, "ü" * 300])
def test_what_a_peer_sent_is_cut_off(text: str) -> None:
    error = CodecError("duplicate-key", where=f"$.{text}", text=text, detail=text)
    assert error.where == f"$.{text}"[:200] + "…"
    assert len(str(error)) < 600


def test_what_is_short_is_whole() -> None:
    path = "$." + "a" * 198
    assert CodecError("number", where=path).where == path
