"""A method that takes a function is a decorator in both forms."""

from __future__ import annotations

from typing import Any, assert_type

import pytest

from zaptools import EventData, RegistrationError, ZapConsumer
from zaptools.handlers.decorators import UNSET, Unset, decorator


class Book:
    def __init__(self) -> None:
        self.log: list[Any] = []
        self.replacing: list[bool] = []

    @decorator
    def record(self, callback: Any, replace: bool) -> None:
        """Write it down."""
        self.log.append(callback)
        self.replacing.append(replace)


def handler(event: EventData) -> int:
    return 1


def test_the_three_forms() -> None:
    book = Book()
    assert book.record(handler) is handler

    @book.record
    def bare() -> None: ...

    @book.record()
    def called() -> None: ...

    @book.record(replace=True)
    def replacing() -> None: ...

    assert book.log == [handler, bare, called, replacing]
    assert book.replacing == [False, False, False, True]
    assert bare.__name__ == "bare" and called.__name__ == "called"


def test_what_helps_readers_stays() -> None:
    assert Book.record.__doc__ == "Write it down."
    assert Book.record.__name__ == "record"  # type: ignore[attr-defined]  # it is a function


def test_an_argument_is_never_taken_for_none_at_all() -> None:
    book = Book()
    book.record(None)  # type: ignore[call-overload]  # what it does with it is its own matter
    assert book.log == [None]
    assert isinstance(UNSET, Unset)


def test_types() -> None:
    client = ZapConsumer("ws://127.0.0.1/")
    event = EventData("x")
    for function in (
        client.on_connected(handler),
        client.on_connected()(handler),
        client.on_event("x", handler),
        client.on_event("x")(handler),
    ):
        assert assert_type(function(event), int) == 1

    @client.on_connected(replace=True)
    async def bare(event: EventData) -> str:
        return ""

    @client.on_error()
    def called(error: BaseException) -> None: ...

    assert_type(called(ValueError()), None)


async def stream(event: EventData) -> Any:
    yield event


class Stream:
    async def __call__(self, event: EventData) -> Any:
        yield event


@pytest.mark.parametrize(
    "bad", [None, 3, stream, Stream()], ids=["None", "3", "function", "object"]
)
def test_what_no_event_can_call(bad: Any) -> None:
    client = ZapConsumer("ws://127.0.0.1/")
    registrations: list[Any] = [
        client.on_connected,
        client.on_disconnected,
        client.on_any_event,
        client.on_error,
        client.on_connection_state_changed,
        client.on_connected(),
        client.on_event("x"),
        lambda callback: client.on_event("x", callback),
        lambda callback: client.on_event("connected", callback),
    ]
    for register in registrations:
        with pytest.raises(RegistrationError) as info:
            register(bad)
        if callable(bad):
            assert "calling a function that yields does not run it" in str(info.value)
        else:
            assert str(info.value) == f"handler must be a callable, not {bad!r}"
