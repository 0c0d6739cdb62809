"""The peer `browser`: `docs/peer-contract.md` over a page in headless Chromium.

It moves lines: those of each control connection to a frame of a page, and back. All else is in that
page: client.js is the client, session.js the contract, page.js the frames.

Chromium is driven by its DevTools protocol through two pipes. So nothing but Chromium is installed:
Playwright would be 165 MB more, with a Node.js of its own, for the few calls that are made here.
There is no port, on which any process could drive it. And it ends when the pipes are closed, which
they are however this program ends; the shell that started it then removes its profile.

A session has a frame of its own, and no browser context, which takes 0.14 s of a processor to a
frame's 0.02 s. If a page crashes this program ends, and says so: its sessions have lost what they
opened.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

Message = dict[str, Any]

FOLDER = Path(__file__).parent

START_TIMEOUT = 60.0
"""Seconds for Chromium to answer. It took 0.6 s."""

END_TIMEOUT = 1.5
"""Seconds for Chromium to end by itself. It took 0.1 s; the local engine gives this program 3 s."""

FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container has 64 MB of it
    "--log-level=3",  # errors that end it
    # Timers and messages come when they are due, also in a page that is not in front.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    # It connects to what the page connects to, and to nothing else.
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-features=MediaRouter,OptimizationHints,SpareRendererForSitePerProcess,Translate",
    "--disable-field-trial-config",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--no-proxy-server",
    "--no-startup-window",
    "--password-store=basic",
    "--use-mock-keychain",
)

PAGES = 5
"""Each has a process of its own. Chromium delays a connection while others of the same process are
being made: of 20 at once each took 2 s in the median, in five pages 0.1 s
(services/network/websocket_throttler.cc)."""

SHELL = '"$@"; rm -rf "$0"'
"""Runs Chromium, and removes the folder of its profile, also where this program was killed."""

HTML = b'<!doctype html><meta charset=utf-8><title>zaptools</title><link rel=icon href="data:,">'
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"


class Gone(Exception):
    """Chromium has ended."""


class DevTools(asyncio.Protocol):
    """The DevTools protocol of one Chromium: messages that each end with a NUL.

    Args:
        take: called with each event.
        lost: called when Chromium has ended.
    """

    def __init__(self, take: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._take = take
        self._lost = lost
        self._parts: list[bytes] = []
        self._number = 0
        self._replies: dict[int, asyncio.Future[Message]] = {}
        self._pipe: asyncio.WriteTransport | None = None
        self._process = 0
        self._home = ""
        self._ended = asyncio.Event()

    async def launch(self, command: Sequence[str]) -> None:
        """Start Chromium with an empty profile, which ends with it."""
        to_it, from_it = self._spawn(command)
        loop = asyncio.get_running_loop()
        self._pipe, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, to_it)
        await loop.connect_read_pipe(lambda: self, from_it)

    def _spawn(self, command: Sequence[str]) -> tuple[BinaryIO, BinaryIO]:
        """Start it, and return the ends of the pipes to it and from it."""
        self._home = home = tempfile.mkdtemp(prefix="zaptools-")
        # It makes sockets below this folder, and the path of one has at most 104 bytes.
        temporary = home if len(home) < 60 else tempfile.gettempdir()
        folders = {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
        its_input, to_it = _pipe()
        from_it, its_output = _pipe()
        self._process = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", SHELL, home, *command, f"--user-data-dir={home}/profile"],
            {**os.environ, **folders, "TMPDIR": temporary},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, its_input, 3),
                (os.POSIX_SPAWN_DUP2, its_output, 4),
                (os.POSIX_SPAWN_DUP2, 2, 1),  # stdout is for the READY line
            ],
            setpgroup=0,
        )
        os.close(its_input)
        os.close(its_output)
        return open(to_it, "wb", 0), open(from_it, "rb", 0)

    def data_received(self, data: bytes) -> None:
        *ends, rest = data.split(b"\0")
        for end in ends:
            self._receive(json.loads(b"".join([*self._parts, end])))
            self._parts = []
        self._parts.append(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(Gone("Chromium has ended"))
        self._lost()

    def _receive(self, message: Message) -> None:
        if "id" not in message:
            self._take(message)
            return
        reply = self._replies.pop(message["id"], None)
        if reply is not None and not reply.done():
            reply.set_result(message)
        elif "error" in message or "exceptionDetails" in message["result"]:
            print(f"Chromium: {message}", file=sys.stderr)  # noqa: T201  # stderr is free

    def post(self, method: str, session: str = "", **params: Any) -> int:
        """Begin a call, and return its number. Calls are begun in their order."""
        assert self._pipe is not None
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._pipe.write(json.dumps(message).encode() + b"\0")
        return self._number

    async def call(self, method: str, session: str = "", **params: Any) -> Any:
        """Return the result of a call.

        Raises:
            Gone: Chromium ended meanwhile.
        """
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies[self.post(method, session, **params)] = reply
        message = await reply
        if "error" in message or "exceptionDetails" in message["result"]:
            raise RuntimeError(f"{method}: {message}")
        return message["result"]

    async def end(self) -> None:
        """End Chromium, and what it started."""
        if self._pipe is not None:
            self._pipe.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT):
                await self._ended.wait()
        if self._process and not self._ended.is_set():
            os.killpg(self._process, signal.SIGKILL)
            shutil.rmtree(self._home, ignore_errors=True)


def _pipe() -> tuple[int, int]:
    """Return a pipe with neither end where Chromium looks for its own, at 3 and 4."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]


class Chromium:
    """A Chromium of its own, and its pages.

    Args:
        take: called with a session's number and a line for its control connection.
        lost: called with the reason, once a page is gone.
    """

    def __init__(self, take: Callable[[int, str], None], lost: Callable[[str], None]) -> None:
        self._take = take
        self._lost = lost
        self._tools = DevTools(self._event, self._ended)
        self._pages: dict[str, set[int]] = {}  # DevTools' name of each, and its sessions
        self._loaded: dict[str, asyncio.Event] = {}

    async def start(self, program: str) -> None:
        """Start it, and load the pages.

        It is tried with its sandbox first, except by root, which cannot have it; in most containers
        no user can.

        Raises:
            Gone: it ended.
            TimeoutError: it did not answer.
        """
        async with asyncio.timeout(START_TIMEOUT):
            try:
                version = await self._launch([program, *FLAGS], sandbox=os.geteuid() != 0)
            except Gone:
                if os.geteuid() == 0:
                    raise
                sys.stderr.write("Chromium is tried again, without a sandbox\n")
                version = await self._launch([program, *FLAGS], sandbox=False)
            server = await asyncio.start_server(_serve_page, "127.0.0.1", 0)
            host, port = server.sockets[0].getsockname()
            url = f"http://{host}:{port}/"  # from a server, so that it has an origin
            await asyncio.gather(*(self._load(url, version) for _ in range(PAGES)))
            server.close()

    async def _launch(self, command: Sequence[str], *, sandbox: bool) -> str:
        self._tools = DevTools(self._event, self._ended)
        await self._tools.launch([*command, *([] if sandbox else ["--no-sandbox"])])
        found = await self._tools.call("Browser.getVersion")
        return str(found["product"]).partition("/")[2]

    async def _load(self, url: str, version: str) -> None:
        """Load an empty page, and run page.js in it."""
        call = self._tools.call
        target = await call("Target.createTarget", url="about:blank")
        page = (await call("Target.attachToTarget", **target, flatten=True))["sessionId"]
        for domain in ("Inspector", "Page", "Runtime"):
            await call(f"{domain}.enable", page)
        await call("Runtime.addBinding", page, name="told")
        loaded = self._loaded[page] = asyncio.Event()
        await call("Page.navigate", page, url=url)
        await loaded.wait()
        await call("Page.disable", page)
        client, session, script = (
            json.dumps((FOLDER / name).read_text("utf-8"))
            for name in ("client.js", "session.js", "page.js")
        )
        run = f"Function('source', 'version', {script})({client} + {session}, '{version}')"
        await call("Runtime.evaluate", page, expression=run)
        self._pages[page] = set()

    def place(self, number: int) -> Callable[[str], int]:
        """Return what has a session's page run scripts, one after the other."""
        page = min(self._pages, key=lambda each: len(self._pages[each]))
        self._pages[page].add(number)
        return lambda script: self._tools.post("Runtime.evaluate", page, expression=script)

    def leave(self, number: int) -> None:
        """Forget a session that has ended."""
        for sessions in self._pages.values():
            sessions.discard(number)

    async def end(self) -> None:
        """End Chromium."""
        await self._tools.end()

    def _ended(self) -> None:
        if self._pages:
            self._lost("Chromium has ended")

    def _event(self, event: Message) -> None:
        match event["method"]:
            case "Runtime.bindingCalled":
                for line in event["params"]["payload"].split("\n"):
                    number, _, text = line.partition(" ")
                    self._take(int(number), text)
            case "Page.loadEventFired":
                self._loaded[event["sessionId"]].set()
            case "Inspector.targetCrashed":
                self._lost("a page has crashed")


async def _serve_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(PAGE % (len(HTML), HTML))
        await writer.drain()
    writer.close()


class Control(asyncio.Protocol):
    """One control connection: a session in a page."""

    def __init__(self, number: int, sessions: dict[int, Control], chromium: Chromium) -> None:
        self._number = number
        self._sessions = sessions
        self._chromium = chromium
        self._run = chromium.place(number)
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._sessions[self._number] = self

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._run(f"receive({self._number}, {json.dumps(line.decode())})")

    def connection_lost(self, exc: Exception | None) -> None:
        del self._sessions[self._number]
        self._run(f"end({self._number})")
        self._chromium.leave(self._number)

    def write(self, line: str) -> None:
        """Send a line, given without its newline."""
        assert self._transport is not None
        self._transport.write(line.encode() + b"\n")


async def serve(host: str, port: int, program: str, exit_with_stdin: bool) -> str:
    """Serve control connections until told to end; return why it ended before that, if it did."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[str] = loop.create_future()
    sessions: dict[int, Control] = {}
    numbers = itertools.count(1)

    def end(why: str = "") -> None:
        if not over.done():
            over.set_result(why)

    def take(number: int, line: str) -> None:
        if session := sessions.get(number):
            session.write(line)

    chromium = Chromium(take, end)
    loop.add_signal_handler(signal.SIGTERM, end)
    if exit_with_stdin:
        loop.add_reader(0, lambda: None if os.read(0, 1 << 16) else end())
    try:
        await chromium.start(program)
        server = await loop.create_server(
            lambda: Control(next(numbers), sessions, chromium), host, port
        )
        print("READY", *server.sockets[0].getsockname()[:2], flush=True)  # noqa: T201  # the contract
        return await over
    except (Gone, TimeoutError, OSError) as exc:
        return f"{program} does not start: {exc or 'no answer'}"
    finally:
        await chromium.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when stdin is closed")
    parser.add_argument("--chromium", default="chromium", metavar="PROGRAM")
    options = parser.parse_args()
    listen_host, _, listen_port = options.listen.rpartition(":")
    serving = serve(listen_host, int(listen_port), options.chromium, options.exit_with_stdin)
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(serving) or None)
