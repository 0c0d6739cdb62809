"""Connecting and disconnecting: each reported once, in order, by whichever side and means."""

from __future__ import annotations

from typing import Any

import pytest

from interop.control.patience import Patience
from interop.errors import Violation
from interop.roles.client import Client
from interop.roles.judged import JudgedServer
from interop.roles.server import Server
from interop.scenarios.scenario import Clients, scenario
from interop.scenarios.test_ends import end
from interop.scenarios.test_time import next_echo
from interop.wire.tap import Tap

ENDED = ("offline", "error")
CLEAN = (1000, 1005)
"""Close codes of a clean end: 1000, or 1005, which stands for a close frame with no code."""


async def gone(client: Client) -> None:
    """Wait until the client reports that the connection ended."""
    await client.wait("state", lambda n: n.data["state"] in ENDED, what="state offline or error")


async def close_code(tap: Tap, author: str, within: Patience) -> int | None:
    """Return the code of the close frame that `author` wrote, or writes within that time.

    Raises:
        Violation: it wrote none.
    """
    frame = await tap.log.wait(author=author, kind="close", within=within)
    if frame is None:
        raise Violation(f"the {author} ended the connection with no close frame (1006)")
    return frame.close_code


async def check_answer(tap: Tap, author: str, code: int, within: Patience) -> None:
    """Check the code with which `author` answers a close frame."""
    got = await close_code(tap, author, within)
    assert got in (code, *CLEAN), f"expected {code}, 1000 or none, got {got}"


@scenario(
    "lifecycle.connected-once",
    "The server's connected callback fires once, before any event of that connection.",
    rules=["D-1"],
)
async def test_connected_once(server: Server, client: Client) -> None:
    await client.open()
    await client.echo("hello")
    await server.settle()
    of_conn = [n.on for n in server.session.notifications if n.data.get("conn") == client.conn]
    assert of_conn == ["connected", "event"]


@scenario(
    "lifecycle.connected-before-events",
    "The connected callback precedes events that immediately follow the handshake.",
    side="server",
    rules=["D-1"],
)
async def test_connected_before_events(judged: JudgedServer) -> None:
    connection = await judged.ask()
    connection.start()
    connection.send_event("echo", "at once")
    await judged.received("echo", "at once")
    await judged.role.settle()
    told = [n.on for n in judged.role.session.notifications]
    assert told == ["connected", "event"], f"an event came before connected: {told}"


@scenario(
    "lifecycle.states",
    "A client reports connecting, then online, then, once closed, offline; each once.",
    rules=["L-1"],
)
async def test_states(client: Client) -> None:
    await client.open()
    await client.echo("hello")
    await client.close()
    await client.state("offline")
    await client.settle()
    assert client.states == ["connecting", "online", "offline"]


@scenario(
    "lifecycle.online-before-events",
    "A client reports online before it delivers the first event.",
    rules=["L-2"],
)
async def test_online_before_events(client: Client) -> None:
    await client.open()
    await client.echo("hello")
    notes = client.session.notifications
    kinds = [n.on for n in notes if n.on == "event" or n.data.get("state") == "online"]
    assert kinds[:2] == ["state", "event"], "an event was delivered before the state online"


@scenario(
    "lifecycle.client-close",
    "When the client closes, the server's disconnected callback fires exactly once.",
    rules=["E-16"],
)
async def test_client_close(server: Server, client: Client) -> None:
    await client.open()
    await client.echo("hello")
    await client.close()
    await server.disconnected(client.conn)
    await server.settle()
    assert server.count("disconnected", conn=client.conn) == 1


@scenario(
    "lifecycle.client-close-clean",
    "A client's close without a code ends the connection with code 1000, or with an empty frame.",
    rules=["E-14"],
)
async def test_client_close_clean(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.echo("hello")
    await client.close()
    await server.disconnected(client.conn)
    assert await close_code(tap, "client", client.patience) in CLEAN


@scenario(
    "lifecycle.client-close-code",
    "A client's close code reaches the wire, and the server answers with it, 1000 or none.",
    rules=["E-13", "E-1"],
)
async def test_client_close_code(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.echo("hello")
    await client.close(code=4001, reason="enough")
    await server.disconnected(client.conn)
    assert await close_code(tap, "client", client.patience) == 4001
    await check_answer(tap, "server", 4001, client.patience)


@scenario(
    "lifecycle.server-close",
    "When the server closes, the client reports it once and the disconnected callback fires once.",
    rules=["E-16", "E-14"],
)
async def test_server_close(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.echo("hello")
    await server.drop(client.conn)
    await gone(client)
    await server.disconnected(client.conn)
    await server.settle()
    assert server.count("disconnected", conn=client.conn) == 1
    assert client.states.count("offline") + client.states.count("error") == 1
    assert await close_code(tap, "server", client.patience) in CLEAN


@scenario(
    "lifecycle.clean-close-is-no-error",
    "A client reports a clean close by the server as offline, not as an error.",
    rules=["E-18"],
)
async def test_clean_close_is_no_error(server: Server, client: Client) -> None:
    await client.open()
    await client.echo("hello")
    await server.drop(client.conn)
    await client.state("offline")
    await client.settle()
    await server.settle()
    assert "error" not in client.states


@scenario(
    "lifecycle.server-close-code",
    "A server's close code reaches the wire, and the client answers with it, 1000 or none.",
    rules=["E-13", "E-1"],
)
async def test_server_close_code(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.echo("hello")
    await server.drop(client.conn, code=4002, reason="moved")
    await server.disconnected(client.conn)
    assert await close_code(tap, "server", client.patience) == 4002
    await check_answer(tap, "client", 4002, client.patience)


@scenario(
    "lifecycle.close-in-handler",
    "A handler can close its own connection.",
    rules=["E-24"],
)
async def test_close_in_handler(server: Server, client: Client) -> None:
    await client.open()
    await client.send("close-me", {})
    await server.disconnected(client.conn)
    await gone(client)
    await server.settle()


@scenario(
    "lifecycle.cut",
    "A connection that ends with no close frame is reported once by both sides.",
    rules=["E-16"],
)
async def test_cut(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.echo("hello")
    tap.cut()
    await server.disconnected(client.conn)
    await client.state("offline")
    await server.settle()
    assert server.count("disconnected", conn=client.conn) == 1
    assert client.states.count("offline") == 1


@scenario(
    "lifecycle.reconnect",
    "The same client connects again, and its handlers still get each event, once.",
    rules=["L-6", "L-23"],
)
async def test_reconnect(server: Server, client: Client) -> None:
    await client.open("news")
    await client.echo("before")
    await server.drop(client.conn)
    await gone(client)
    await client.reconnect()
    await server.push(client.conn, "news", {"after": True})
    event = await client.event("news")
    await client.check_usable()
    assert event.data["payload"] == {"after": True}
    assert client.count("event", name="news") == 1


@scenario(
    "lifecycle.reconnect-says-nothing",
    "A client that connects again does not repeat what it sent before.",
    rules=["W-34"],
)
async def test_reconnect_says_nothing(server: Server, client: Client) -> None:
    await client.open()
    await client.echo("before")
    await server.drop(client.conn)
    await gone(client)
    await client.reconnect()
    await client.check_usable("after")
    await server.settle()
    got = [n.data["payload"] for n in server.session.notifications if n.on == "event"]
    assert got == ["before", "after"], f"expected ['before', 'after'], got {got}"


@scenario(
    "lifecycle.subscribe-later",
    "A handler registered after connecting gets events.",
    rules=["L-9"],
)
async def test_subscribe_later(server: Server, client: Client) -> None:
    await client.open()
    await client.subscribe("late")
    await server.push(client.conn, "late", 1)
    assert (await client.event("late")).data["payload"] == 1


@scenario(
    "lifecycle.clean",
    "clean() ends every stream of a subscriber.",
    rules=["L-10"],
)
async def test_clean(client: Client) -> None:
    await client.open("news")
    await client.echo("hello")
    await client.clean()
    await client.wait("ended", lambda n: n.data["stream"] == "events")
    await client.wait("ended", lambda n: n.data["stream"] == "states")


@scenario(
    "lifecycle.refused",
    "A refused connection is an error to the caller, and the client's state is error.",
    rules=["L-4"],
)
async def test_refused(client: Client, tap: Tap) -> None:
    # Nothing listens on port 1, which is never assigned as a free port.
    await client.refused(f"ws://{tap.host}:1/ws")
    await client.state("error")


@scenario(
    "lifecycle.wrong-path",
    "A server refuses a path that it does not serve.",
    rules=["H-2"],
)
async def test_wrong_path(server: Server, client: Client, tap: Tap) -> None:
    await client.refused(tap.url("/elsewhere"))
    await server.settle()
    assert server.count("connected") == 0


@scenario(
    "lifecycle.stop",
    "A stopped server takes no new connections.",
    rules=["E-27"],
)
async def test_stop(server: Server, clients: Clients) -> None:
    first, second = await clients(), await clients()
    await first.open()
    await server.stop()
    await second.refused_by_server()


@scenario(
    "lifecycle.stop-tells-clients",
    "A server that stops ends its connections.",
    severity="should",
    rules=["E-28"],
)
async def test_stop_tells_clients(server: Server, client: Client) -> None:
    await client.open()
    await client.echo("hello")
    await server.stop()
    await gone(client)


# --- Handlers of a connection's beginning and end that raise, or take long ------------------------

BOOM = {"event": "boom", "payload": {}}
RAISING = {"connected": {"at_connect": BOOM}, "disconnected": {"at_disconnect": BOOM}}
"""Arguments of ``serve`` with which that handler raises."""


async def raised(judged: JudgedServer, handler: str) -> None:
    """Let that handler of a connection raise."""
    connection = await judged.open(more=RAISING[handler])
    if handler == "disconnected":
        connection.abort(reset=True)
        await judged.ended()
    await judged.role.settle()


@scenario(
    "lifecycle.connected-raises",
    "A connected handler that raises leaves its connection usable, or ends it; its application is "
    "told of each end once, and others can connect.",
    side="server",
    escapes=True,
    rules=["D-19"],
)
async def test_connected_raises(judged: JudgedServer) -> None:
    for conn in ("1", "2"):
        connection = await judged.open(more=RAISING["connected"])
        await judged.usable_or_closed(connection, clean=False)
        connection.abort(reset=True)
        await judged.server.disconnected(conn)
    await judged.role.settle()
    count = judged.role.count("disconnected")
    assert count == 2, f"expected to be told of two ends, got {count}"


@pytest.mark.parametrize("how", ["close", "reset"])
@scenario(
    "lifecycle.disconnected-raises",
    "A disconnected handler that raises is called once for each end, and leaves the other "
    "connections usable.",
    side="server",
    escapes=True,
    rules=["D-19"],
)
async def test_disconnected_raises(judged: JudgedServer, how: str) -> None:
    stays = await judged.open(more=RAISING["disconnected"])
    await end(judged, await judged.open(), how)
    await judged.ended()
    await judged.works(stays)
    await judged.works(await judged.open(), "and another")
    await judged.role.settle()
    count = judged.role.count("disconnected")
    assert count == 1, f"expected to be told of one end, got {count}"


@pytest.mark.parametrize("handler", RAISING)
@scenario(
    "lifecycle.raise-contained",
    "What a connected or disconnected handler raises does not escape the library.",
    side="server",
    rules=["D-7"],
)
async def test_raise_contained(judged: JudgedServer, handler: str) -> None:
    await raised(judged, handler)


@pytest.mark.parametrize("handler", RAISING)
@scenario(
    "lifecycle.raise-reported",
    "What a connected or disconnected handler raises reaches the error callback.",
    side="server",
    escapes=True,
    rules=["D-8"],
)
async def test_raise_reported(judged: JudgedServer, handler: str) -> None:
    await raised(judged, handler)
    error = await judged.role.wait("error", what="error callback")
    assert "boom" in error.data["message"], f"expected 'boom', got {error.data['message']!r}"


def taking(ms: int) -> dict[str, Any]:
    """Return arguments of ``serve`` with which the connected handler takes so many milliseconds."""
    return {"at_connect": {"event": "slow", "payload": {"ms": ms}}}


@scenario(
    "lifecycle.slow-connected",
    "Events that arrive while the connected handler runs are kept, and delivered once it is done.",
    side="server",
    rules=["D-20"],
)
async def test_slow_connected(judged: JudgedServer) -> None:
    connection = await judged.open(more=taking(500))
    connection.patience = connection.patience.at_least(1.0)
    for number in range(3):
        connection.send_event("echo", number)
    for expected in ("slow", 0, 1, 2):
        got = await next_echo(connection)
        assert got == expected, f"expected slow, then 0 to 2, got {got!r} for {expected!r}"


@scenario(
    "lifecycle.slow-connected-alone",
    "A connected handler that takes long does not keep others from connecting.",
    side="server",
    rules=["D-4"],
)
async def test_slow_connected_alone(judged: JudgedServer) -> None:
    for _ in range(3):
        await judged.open(more=taking(60_000))


@pytest.mark.parametrize("how", ["close", "reset"])
@scenario(
    "lifecycle.slow-connected-left",
    "When a client leaves while the connected handler runs, the application is told once.",
    side="server",
    escapes=True,  # what that handler's send on the closed connection raises
    rules=["E-31"],
)
async def test_slow_connected_left(judged: JudgedServer, how: str) -> None:
    connection = await judged.open(more=taking(100))
    await end(judged, connection, how)
    await judged.ended()
    await judged.role.settle()
    told = [n.on for n in judged.role.session.notifications if n.on != "error"]
    assert told == ["connected", "disconnected"], f"expected one end, got {', '.join(told)}"
