"""From a name to a connected socket, with addresses that answer, refuse, or stay silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support import MS, until, within
from tests.support.ports import refusing_port
from zaptools import ConnectError, Limits, ZapConsumer, ZapServer
from zaptools.client import route
from zaptools.client.dial import Address, connect_first, dial, interleave

NEVER = 3600.0


def address(host: str, port: int, family: int = socket.AF_INET) -> Address:
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))


@pytest.fixture
def hole() -> Iterator[Address]:
    """An address that neither accepts nor refuses: its backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        place = listener.getsockname()
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(place)
        yield address(*place)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def refusing() -> Iterator[Address]:
    with refusing_port() as port:
        yield address("127.0.0.1", port)


def test_families_take_turns() -> None:
    six = [address(f"::{n}", 1, socket.AF_INET6) for n in (1, 2, 3)]
    four = [address(f"127.0.0.{n}", 1) for n in (1, 2)]
    assert interleave([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert interleave(four) == four and interleave([]) == []


async def test_the_first_address_that_answers(listener: socket.socket, refusing: Address) -> None:
    place = listener.getsockname()
    with await within(connect_first([address(*place), refusing], NEVER)) as sock:
        assert sock.getpeername() == place


async def test_a_refusal_is_followed_at_once_by_the_next_address(
    listener: socket.socket, refusing: Address
) -> None:
    place = listener.getsockname()
    with await within(connect_first([refusing, address(*place)], NEVER)) as sock:
        assert sock.getpeername() == place


async def test_a_silent_address_does_not_delay_the_next_for_long(
    hole: Address, listener: socket.socket
) -> None:
    place = listener.getsockname()
    with await within(connect_first([hole, hole, address(*place)], 5 * MS)) as sock:
        assert sock.getpeername() == place
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}  # the others are cancelled


async def test_all_refuse(refusing: Address) -> None:
    with pytest.raises(ConnectionRefusedError):
        await within(connect_first([refusing]))
    with pytest.raises(OSError, match=r"refused.*; .*refused"):
        await within(connect_first([refusing, refusing], NEVER))
    with pytest.raises(OSError, match="the name has no address"):
        await connect_first([])


async def test_a_refusal_does_not_end_the_other_attempts(hole: Address, refusing: Address) -> None:
    dialling = asyncio.ensure_future(connect_first([hole, refusing], 0))
    await asyncio.wait([dialling], timeout=50 * MS)
    assert not dialling.done()
    dialling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialling


async def test_cancelled(hole: Address) -> None:
    dialling = asyncio.ensure_future(connect_first([hole, hole], MS))
    await until(lambda: len(asyncio.all_tasks()) == 4)
    dialling.cancel()
    await asyncio.wait([dialling])
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_two_that_answer_at_once(listener: socket.socket) -> None:
    """The socket of the slower one is closed; else its ResourceWarning would be an error."""
    places = [address(*listener.getsockname())] * 4
    with await within(connect_first(places, 0)):
        await asyncio.sleep(0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_names_and_addresses(host: str) -> None:
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener, await within(dial(host, listener.getsockname()[1])) as sock:
        assert sock.getpeername()[1] == listener.getsockname()[1]
        assert not sock.getblocking()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_small_messages_are_not_held_back(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[socket.socket] = []

    async def dial_and_note(*place: Any) -> socket.socket:
        dialled.append(await dial(*place))
        return dialled[-1]

    monkeypatch.setattr(route, "dial", dial_and_note)
    async with ZapServer(port=0) as server, ZapConsumer(f"ws://{host}:{server.port}/"):
        (sock,) = dialled
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_client_of_a_name_whose_first_address_is_a_hole(
    hole: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = hole[4][1]

    loop = asyncio.get_running_loop()
    real: Any = loop.getaddrinfo

    async def getaddrinfo(host: object, *place: Any, **options: Any) -> Any:
        if host == "dual.example":
            return [hole, address("127.0.0.1", port)]
        return await real(host, *place, **options)  # uvloop asks for what it listens on too

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with ZapServer(port=port):
        client = ZapConsumer(f"ws://dual.example:{port}/", limits=Limits(open_timeout=None))
        async with asyncio.timeout(30):  # the hole gives up after minutes
            await client.connect()
        await client.disconnect()


async def test_a_resolver_that_cannot_read_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> list[Address]:
        raise UnicodeError("label too long")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectError, match="its host is no valid name: label too long"):
        await ZapConsumer("ws://a.example/").connect()


async def test_the_reason_of_a_failure(refusing: Address) -> None:
    """It is the system's message, more precise than asyncio's, on each event loop."""
    place = refusing[4]
    with pytest.raises(ConnectionRefusedError, match="Connection refused") as info:
        await connect_first([address(*place)])
    assert f"(127.0.0.1 port {place[1]})" in str(info.value)
