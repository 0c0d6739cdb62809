"""A wrong argument is refused where it is passed, by an error that names it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.fakes import Wired
from zaptools import (
    ConnectionRouter,
    EventRegister,
    Limits,
    MetaTag,
    ReconnectPolicy,
    Room,
    RoomManager,
    WebSocketConnection,
    ZapClient,
    ZapConsumer,
    ZapServer,
    ZapSubscriber,
)
from zaptools._arguments import check_count, check_kind, check_seconds, explained, shown
from zaptools.asgi import AsgiApp
from zaptools.connectors import AioHttpConnector, FastApiConnector, SanicConnector
from zaptools.testing import TestClient

URL = "ws://127.0.0.1:9/"

GOOD: dict[Any, dict[str, Any]] = {
    EventRegister: {},
    ZapServer: {},
    ZapConsumer: {"url": URL},
    ZapSubscriber: {"url": URL},
    ZapClient: {},
    Limits: {},
    ReconnectPolicy: {},
    Room: {"name": "lobby"},
    AsgiApp: {"register": EventRegister()},
    TestClient: {"register": EventRegister()},
    FastApiConnector: {
        "register": EventRegister(),
        "websocket": SimpleNamespace(scope={}, accept=None, application_state=None),
    },
    SanicConnector: {
        "register": EventRegister(),
        "websocket": SimpleNamespace(ws_proto=None, io_proto=None, recv=None),
    },
    AioHttpConnector: {
        "register": EventRegister(),
        "request": SimpleNamespace(transport=None, raw_headers=()),
    },
}
"""Every public class that the application makes, and arguments that it takes."""


class Strange:
    def __repr__(self) -> str:
        return "<strange>"


@pytest.mark.parametrize(
    ("make", "name"),
    [(make, name) for make in GOOD for name in inspect.signature(make).parameters],
)
def test_every_argument_of_every_constructor(make: Callable[..., Any], name: str) -> None:
    make(**GOOD[make])
    with pytest.raises((TypeError, ValueError)) as info:
        make(**{**GOOD[make], name: Strange()})
    words = str(info.value)
    assert "<strange>" in words
    called = {"url": "cannot connect to", "subprotocols": "subprotocols", "name": "room name"}
    assert called.get(name, name) in words or f"a {name} is" in words


@pytest.mark.parametrize("make", GOOD)
def test_every_argument_is_documented(make: Callable[..., Any]) -> None:
    words = inspect.getdoc(make) or ""
    for name in inspect.signature(make).parameters:
        assert f"\n    {name}: " in words, name


@pytest.mark.parametrize("make", GOOD)
def test_a_dict_is_no_limits(make: Callable[..., Any]) -> None:
    if "limits" not in inspect.signature(make).parameters:
        with pytest.raises(TypeError, match=r"\(\) has no argument 'limits': "):
            make(**GOOD[make], limits={"message_bytes": 1})
        return
    with pytest.raises(TypeError, match=r"limits must be a Limits or None|limits must be a Limits"):
        make(**GOOD[make], limits={"message_bytes": 1})
    with pytest.raises(TypeError, match=r"write limits=Limits\(message_bytes=…\)$"):
        make(**GOOD[make], limits={"message_bytes": 1})


@pytest.mark.parametrize("make", GOOD)
def test_a_constructor_speaks_in_its_own_name(make: type) -> None:
    with pytest.raises(TypeError) as info:
        make(**GOOD[make], nonsense=1)
    assert str(info.value).startswith(f"{make.__name__}() has no argument 'nonsense': it has ")
    assert info.value.__suppress_context__
    with pytest.raises(TypeError, match=rf"^{make.__name__}\(\) has .*: too many positional"):
        make(*range(30))


@pytest.mark.parametrize(
    ("make", "options", "cure"),
    [
        (ZapConsumer, {"headers": {}}, r"pass them to connect\(headers="),
        (ZapSubscriber, {"headers": {}}, r"pass them to connect\(headers="),
        (ZapClient, {"headers": {}}, r"pass them to connect\(url, headers="),
        (ZapClient, {"url": URL}, r"pass it to connect\(url\)"),
        (ZapConsumer, {"protocols": []}, r"pass them to connect\(protocols="),
        (ZapConsumer, {"max_delay": 1}, r"pass reconnect=ReconnectPolicy\(max_delay=…\)"),
        (ZapConsumer, {"ping_interval": 1}, r"pass limits=Limits\(ping_interval=…\)"),
        (ZapServer, {"max_size": 1}, r"pass limits=Limits\(message_bytes=…\)"),
        (ZapServer, {"subprotocol": []}, "did you mean 'subprotocols'"),
        (AioHttpConnector, {"compression": "deflate"}, "did you mean 'compress'"),
        (SanicConnector, {"subprotocols": ["a"]}, r"@app\.websocket\(path, subprotocols="),
        (Limits, {"max_size": 1}, "message_bytes is its bound"),
        (Limits, {"message_size": 1}, "did you mean 'message_bytes'"),
    ],
)
def test_the_cure(make: type, options: dict[str, Any], cure: str) -> None:
    with pytest.raises(TypeError, match=cure):
        make(**GOOD[make], **options)


def test_what_is_missing() -> None:
    with pytest.raises(TypeError, match=r"^ZapConsumer\(\) has url, .*: missing .*'url'$"):
        ZapConsumer()  # type: ignore[call-arg]  # that is the point


def test_a_constructor_keeps_its_signature_and_its_own_errors() -> None:
    class Wrong(ZapServer):
        def __init__(self) -> None:
            super().__init__()
            len(3)  # type: ignore[arg-type]  # that is the point

    with pytest.raises(TypeError, match=r"object of type 'int' has no len\(\)"):
        Wrong()
    assert list(inspect.signature(ZapConsumer).parameters)[:3] == ["url", "reconnect", "offline"]

    @explained()
    class Fails:
        def __init__(self, number: int) -> None:
            raise TypeError("its own")

    with pytest.raises(TypeError, match=r"^its own$"):
        Fails(1)


# Connecting


SECRET = {"Authorization": "Bearer s3cret"}


async def test_headers_in_the_place_of_subprotocols() -> None:
    for client, args in ((ZapConsumer(URL), ()), (ZapClient(), (URL,))):
        connect: Any = client.connect
        with pytest.raises(TypeError, match=r"a dict with 'Authorization': headers .* headers=$"):
            await connect(*args, SECRET)
        with pytest.raises(TypeError, match=r"for one, write \['chat'\]"):
            await connect(*args, "chat")
        with pytest.raises(TypeError, match="subprotocols must be an iterable of str, not 3"):
            await connect(*args, 3)


@pytest.mark.parametrize("make", [ZapServer, AsgiApp, FastApiConnector, AioHttpConnector])
def test_subprotocols_of_a_server(make: Callable[..., Any]) -> None:
    for wrong in ("chat", {"chat": 1}, 3, [3]):
        with pytest.raises(TypeError, match="subprotocols must be an iterable of str"):
            make(**GOOD[make], subprotocols=wrong)
    with pytest.raises(ValueError, match="subprotocols must be tokens"):
        make(**GOOD[make], subprotocols=["a b"])


def test_swapped_arguments_of_a_connector() -> None:
    for make in (FastApiConnector, SanicConnector, AioHttpConnector):
        register, given = GOOD[make].values()
        with pytest.raises(TypeError, match=r"register must be an EventRegister.* it comes first"):
            make(given, register)


def test_functions() -> None:
    async def new_id() -> str:
        return ""

    for make in (ZapServer, AsgiApp):
        with pytest.raises(TypeError, match="id_strategy must be a plain function"):
            make(**GOOD[make], id_strategy=new_id)  # type: ignore[arg-type]  # on purpose
    wrong: Any = "uvloop"
    with pytest.raises(TypeError, match=r"pip install 'zaptools\[fast\]'"):
        ZapServer().run(loop_factory=wrong)


def test_several_names() -> None:
    client: Any = ZapSubscriber(URL)
    with pytest.raises(TypeError, match=r"subscribe_to_event\('welcome'\) is for one"):
        client.subscribe_to_events("welcome")
    with pytest.raises(TypeError, match="names must be an Iterable, not 3"):
        client.subscribe_to_events(3)


# Times


TIMES = [(-1, ValueError), (math.nan, ValueError), (math.inf, ValueError), ("5", TypeError)]
TIMES += [(True, TypeError), (timedelta(seconds=1), TypeError)]


@pytest.mark.parametrize(("wrong", "error"), TIMES)
async def test_a_time_to_wait(wrong: Any, error: type[Exception]) -> None:
    connection = Wired(EventRegister()).connection
    for wait in (
        lambda: connection.request("a", timeout=wrong),
        lambda: connection.wait_for("a", timeout=wrong),
    ):
        with pytest.raises(error, match="timeout"):
            await wait()
    with pytest.raises(error, match="timeout"):
        connection.send_from_thread("a", timeout=wrong)
    async with TestClient(EventRegister()) as client:
        for step in (client.receive, client.settle, client.wait_closed):
            with pytest.raises(error, match="timeout"):
                await step(timeout=wrong)
        with pytest.raises(error, match="within"):
            await client.receive_nothing(within=wrong)
    if not isinstance(wrong, timedelta):
        with pytest.raises(error, match="period"):
            await ZapConsumer(URL).try_reconnect(wrong)
    with pytest.raises(ValueError, match="period must be at least 0"):
        await ZapConsumer(URL).try_reconnect(timedelta(seconds=-1))


async def test_what_is_waited_for() -> None:
    connection: Any = Wired(EventRegister()).connection
    with pytest.raises(TypeError, match=r"event name must be a str, not \['a'\]"):
        await connection.wait_for(["a"])
    with pytest.raises(TypeError, match="predicate must be a callable, not 'x'"):
        await connection.wait_for("a", predicate="x")


async def test_how_a_connection_is_closed() -> None:
    connection: Any = Wired(EventRegister()).connection
    with pytest.raises(TypeError, match="code must be an int, not 'bye'"):
        await connection.close("bye")
    with pytest.raises(TypeError, match="reason must be a str, not 5"):
        await connection.close(1000, 5)


# Rooms


def a_connection() -> WebSocketConnection:
    return WebSocketConnection("zpt-1", Wired(EventRegister()).transport)


async def test_swapped_arguments_of_rooms() -> None:
    manager: Any = RoomManager()
    connection = a_connection()
    swapped = "room name must be a str, not <WebSocketConnection .*: the room's name comes first"
    for call in (manager.add_to_room, manager.remove_from_room):
        with pytest.raises(TypeError, match=swapped):
            call(connection, "lobby")
        with pytest.raises(TypeError, match="connection must be a WebSocketConnection, not 'ada'"):
            call("lobby", "ada")
    for call in (manager.create_room, manager.get_room, manager.remove_room):
        with pytest.raises(TypeError, match=swapped):
            call(connection)
    for call in (manager.leave, manager.rooms_of):
        with pytest.raises(TypeError, match="connection must be a WebSocketConnection, not 'lob"):
            call("lobby")
    with pytest.raises(TypeError, match="room must be a Room, not 'lobby': create_room"):
        manager.add_room("lobby")
    with pytest.raises(TypeError, match=swapped):
        await manager.send_to_room(connection, "hello")
    with pytest.raises(TypeError, match="names must be an Iterable, not 3"):
        await manager.send_to_rooms(3, "hello")
    assert not manager.rooms


async def test_a_rooms_members() -> None:
    room: Any = Room("lobby")
    for call in (room.add, room.remove, room.get_meta):
        with pytest.raises(TypeError, match="connection must be a WebSocketConnection, not 'ada'"):
            call("ada")
    async with TestClient(EventRegister()) as client:
        with pytest.raises(TypeError, match=r"pass its connection$"):
            room.add(client)
        with pytest.raises(TypeError, match=r"exclude must be a WebSocketConnection.* its conn"):
            await room.send("a", exclude=[client])
    with pytest.raises(TypeError, match="meta_tag must be a MetaTag or None, not 'boss'"):
        room.add(a_connection(), "boss")
    room.add(a_connection(), MetaTag("boss"))
    for wrong in ("zpt-1", 3):
        with pytest.raises(TypeError, match="exclude must be a connection or several, not "):
            await room.send("a", exclude=wrong)


async def test_a_routers_connections() -> None:
    router: Any = ConnectionRouter()
    with pytest.raises(TypeError, match="connection must be a WebSocketConnection, not 'zpt-1'"):
        router.add_connection("zpt-1")
    with pytest.raises(TypeError, match=r"get_connection\(id\) returns it"):
        router.remove_connection("zpt-1")
    with pytest.raises(TypeError, match="id must be a str, not <WebSocketConnection"):
        router.get_connection(a_connection())
    with pytest.raises(TypeError, match="connection_id must be a str, not <WebSocketConnection"):
        await router.send_to_connection(a_connection(), "hello")


def test_registers() -> None:
    register: Any = EventRegister()
    with pytest.raises(TypeError, match="other must be an EventRegister, not 'chat'"):
        register.include("chat")


# The checks themselves


def test_words() -> None:
    assert shown(SECRET) == "a dict with 'Authorization'"
    assert shown({}) == "a dict with nothing"
    assert len(shown("x" * 1000)) == 201
    check_kind(None, int, "a", none=True)
    check_seconds(0)
    check_seconds(None)
    check_count(1, "a")
    with pytest.raises(TypeError, match=r"^a must be an int, not True$"):
        check_count(True, "a")
    with pytest.raises(TypeError, match=r"^timeout must be a number of seconds, not None$"):
        check_seconds(None, none=False)
