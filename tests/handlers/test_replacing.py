"""A second handler for a name: the last one wins, and a warning says so."""

from __future__ import annotations

import _thread
import functools
import importlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import until
from zaptools import EventRegister, ZapConsumer, ZapServer
from zaptools.core.events import Event, EventBook


def one(argument: Any) -> None: ...
def other(argument: Any) -> None: ...
def typed(argument: Any, payload: int) -> None: ...
def typed_other(argument: Any, payload: int) -> None: ...


class Room:
    def greet(self, argument: Any) -> None: ...


def of(owner: Any) -> list[Callable[..., Any]]:
    """Return each way to register a handler."""
    ways = [owner.on_connected, owner.on_disconnected, owner.on_error, owner.on_any_event]
    if isinstance(owner, ZapConsumer):
        ways.append(owner.on_connection_state_changed)
    names = ("greet", "connected", "disconnected")
    return [*ways, *(functools.partial(owner.on_event, name) for name in names)]


@pytest.mark.parametrize("make", [EventRegister, ZapServer, lambda: ZapConsumer("ws://127.0.0.1/")])
def test_a_second_one_is_told(make: Callable[[], Any]) -> None:
    for number in range(len(of(make()))):
        register: Any = of(make())[number]
        register(one)
        with pytest.warns(RuntimeWarning, match=r"other \(.*\) replaces one \(") as caught:
            register(other)
        assert caught[0].filename == __file__
        with pytest.warns(RuntimeWarning, match="pass replace=True"):
            register()(one)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            register(one)
            register(other, replace=True)
            register(replace=True)(one)


async def test_a_thread_that_begins_with_it() -> None:
    """There is no line of the application's to name."""
    register = EventRegister()
    register.on_event("a", one)
    with pytest.warns(RuntimeWarning, match="replaces one "):
        _thread.start_new_thread(register.on_event, ("a", other))
        await until(lambda: register.book.events["a"] is other)


def test_a_payload_changes_nothing() -> None:
    for owner in (EventRegister(), ZapConsumer("ws://127.0.0.1/")):
        owner.on_event("a", typed)
        owner.on_event("a", typed)
        with pytest.warns(RuntimeWarning, match=r"typed_other .* replaces typed "):
            owner.on_event("a", typed_other)


def test_other_handlers_than_functions() -> None:
    register: Any = EventRegister()
    room = Room()
    register.on_event("a", room.greet)
    register.on_event("a", room.greet)
    with pytest.warns(RuntimeWarning, match=r"Room\.greet .* replaces Room\.greet "):
        register.on_event("a", Room().greet)
    with pytest.warns(RuntimeWarning, match=r"^print replaces Room\.greet "):
        register.on_event("a", print)
    with pytest.warns(RuntimeWarning, match=r"^one .* replaces print as"):
        register.on_event("a", functools.partial(one))


def test_one_definition_with_several_functions() -> None:
    """Only one of them will be called, which a loop may not have meant."""
    register = EventRegister()
    with pytest.warns(RuntimeWarning, match="replaces"):
        for number in (1, 2):
            register.on_event("a", lambda ctx, number=number: number)


def test_an_event_book() -> None:
    book = EventBook()
    book.save_event(Event("a", one))
    with pytest.warns(RuntimeWarning, match="other .* replaces one "):
        book.save_event(Event("a", other))


MODULE = """\
import tests.handlers.test_replacing as here

@here.reloaded.on_event("a")
def greet(ctx): ...
"""

reloaded = EventRegister()


def test_a_module_that_is_reloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "zap_reloaded.py").write_text(MODULE)
    module: Any = importlib.import_module("zap_reloaded")
    first = module.greet
    importlib.reload(module)
    assert first is not module.greet is reloaded.book.events["a"]
    del sys.modules["zap_reloaded"]


def test_a_notebooks_cell() -> None:
    register = EventRegister()
    cell = "def greet(ctx): return {0}\nregister.on_event('a', greet)"
    names = {"register": register, "__name__": "__main__"}
    for number in (1, 2):
        exec(compile(f"{number * chr(10)}{cell.format(number)}", f"<cell {number}>", "exec"), names)
    context: Any = None
    assert register.book.events["a"](context) == 2
    again = "def greet(ctx): ...\nregister.on_event('a', greet)\n"
    with pytest.warns(RuntimeWarning, match="greet .* replaces greet "):
        exec(compile(again * 2, "<cell 3>", "exec"), names)
