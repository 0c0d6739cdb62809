"""Connections and servers that are not closed before their event loop ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from weakref import ref

import pytest
import uvloop

from tests.support import until
from tests.support.app import App
from tests.support.raw import raw_client
from zaptools import CloseInfo, EventContext, ZapConsumer
from zaptools.transport.shutdown import Shutdown

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
LOOP_IDS = ["asyncio", "uvloop"]


class Member:
    """Ends when it is aborted, when its task is cancelled, or not at all."""

    def __init__(self, ends: str = "aborted") -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[Any] | None = None
        self.aborted = 0
        self._ends = ends

    def abort(self) -> None:
        self.aborted += 1
        if self._ends == "aborted":
            asyncio.get_running_loop().call_soon(self.over.set_result, None)
        else:
            self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.over.set_result(None)


def run(main: Any, factory: Callable[[], asyncio.AbstractEventLoop]) -> list[dict[str, Any]]:
    """Run `main` and end the loop; return what the loop had to report."""
    reports: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.get_loop().set_exception_handler(lambda loop, report: reports.append(report))
        runner.run(main)
    return reports


@pytest.mark.parametrize("factory", LOOPS, ids=LOOP_IDS)
class TestLoops:
    def test_members_end_with_the_loop(self, factory: Any) -> None:
        members: list[Member] = []
        kept: list[Shutdown] = []

        async def main() -> None:
            members.extend((Member(), Member("cancelled"), Member()))
            loop = asyncio.get_running_loop()
            kept.extend(Shutdown.join(loop, member) for member in members)
            assert len(set(kept)) == 1
            kept[0].leave(members[2])

        assert run(main(), factory) == []
        assert [member.aborted for member in members] == [1, 1, 0]
        assert members[0].over.done() and members[1].over.done()
        kept[0].leave(members[0])  # too late, and harmless

    def test_the_last_member_leaves(self, factory: Any) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            for _ in range(2):
                member = Member()
                shutdown = Shutdown.join(loop, member)
                shutdown.leave(member)
                gone = ref(shutdown)
                del shutdown
                assert gone() is None

        assert run(main(), factory) == []

    @pytest.mark.parametrize("busy", [False, True])
    def test_a_server_and_a_client(self, factory: Any, busy: bool) -> None:
        app, states = App.__new__(App), list[Any]()

        async def main() -> None:
            app.__init__()  # type: ignore[misc]  # it needs a running loop, and is looked at later
            await app.start()
            client = ZapConsumer(app.url())
            client.on_disconnected(states.append)
            await client.connect()
            await until(lambda: app.seen)
            if busy:
                await client.send_event("gate")
                await until(lambda: app.transport.dispatcher.busy)

        assert run(main(), factory) == []
        assert app.log == ["connected", "disconnected"] and len(states) == 1
        assert app.ends[0] is not None and app.ends[0].code in (1001, 1006)
        assert not app.transports and not app.connections and not app.roster.is_open

    def test_members_that_do_not_read(self, factory: Any) -> None:
        """Broadcasts wait in line for some of them, and every one is ended."""
        app, keep = App.__new__(App), list[Any]()

        async def main() -> None:
            app.__init__()  # type: ignore[misc]  # it needs a running loop, and is looked at later
            await app.start()
            for _ in range(4):
                peer = raw_client(app.port)
                keep.append((peer, await peer.__aenter__()))
            await until(lambda: len(app.connections) == 4)
            for _, peer in keep[:2]:
                peer.writer.transport.pause_reading()
            behind: set[Any] = set()
            while len(behind) < 2:
                behind |= (await app.broadcast("tick", "x" * 50_000)).failed.keys()
                for _, peer in keep[2:]:
                    await peer.text()

        assert run(main(), factory) == []
        assert app.log.count("disconnected") == 4
        assert app.ends == [CloseInfo(1001, "", "local")] * 4
        assert not app.transports and not app.connections

    def test_one_that_cannot_be_ended_stops_no_other(self, factory: Any) -> None:
        class Faulty(Member):
            def abort(self) -> None:
                self.over.set_result(None)
                raise ZeroDivisionError

        members: list[Member] = []
        kept: list[Shutdown] = []

        async def main() -> None:
            members.extend((Faulty(), Member(), Faulty(), Member()))
            loop = asyncio.get_running_loop()
            kept.extend(Shutdown.join(loop, member) for member in members)

        reports = run(main(), factory)
        assert [type(report["exception"]) for report in reports] == [ZeroDivisionError] * 2
        assert all(member.over.done() for member in members)

    def test_a_handler_of_the_end_that_waits(self, factory: Any) -> None:
        told: list[CloseInfo | None] = []

        async def main() -> None:
            app = App()

            @app.on_disconnected
            async def disconnected(ctx: EventContext) -> None:
                await asyncio.sleep(0.01)
                told.append(ctx.connection.closed)

            await app.start()
            peer = raw_client(app.port)
            await peer.__aenter__()
            await until(lambda: app.seen)
            main.peer = peer  # type: ignore[attr-defined]  # so that it is open at the end

        assert run(main(), factory) == []
        assert told == [CloseInfo(1001, "", "local")]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_program_that_closes_nothing_is_silent(loop: str) -> None:
    program = f"""
import asyncio, {loop}
from zaptools import ZapConsumer, ZapServer
server = ZapServer(port=0)
server.on_disconnected(lambda ctx: print("bye", ctx.connection.closed.code))
async def main():
    await server.start()
    global client
    client = ZapConsumer(f"ws://127.0.0.1:{{server.port}}/")
    await client.connect()
{loop}.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program], capture_output=True, text=True
    )
    assert done.stderr == "" and done.returncode == 0
    assert done.stdout in ("bye 1001\n", "bye 1006\n")
