"""The checks of a peer's program: how it starts and ends, its lines, its answers to anyone.

They come before those of its APIs, and need no library behind the peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..control.contract import CONTRACT_VERSION, Address, ContractError, parse_ready
from ..engines.engine import ended
from ..engines.local import exited, kill_group, release
from ..errors import PeerDied, Violation
from ..places import working_folder
from ..records import ROLES
from .control import Control, describe_breach

__all__ = ["CHECKS", "Program", "ProgramCheck", "limits_of"]

_LIMITS = ("message_bytes", "ping_interval_s", "ping_timeout_s", "close_timeout_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The program under check.

    Attributes:
        command: what starts it.
        declared: the APIs that its ``peer.toml`` has, by their roles; None where it has no file.
        within: seconds for an answer.
        start_within: seconds for it to print READY.
        address: returns where it runs, and starts it if it does not.
    """

    command: Sequence[str]
    declared: Mapping[str, Sequence[str]] | None
    within: float
    start_within: float
    address: Callable[[], Awaitable[Address]]

    async def connect(self) -> Control:
        """Return a new control connection."""
        return await Control.connect(await self.address(), self.within)


@dataclass(frozen=True, slots=True)
class ProgramCheck:
    """A check of a program.

    Attributes:
        section: the part of ``docs/peer-contract.md`` that it is about.
        run: raises `Violation` or `PeerDied` where the rule does not hold.
    """

    name: str
    section: str
    rule: str
    run: Callable[[Program], Awaitable[None]]


CHECKS: list[ProgramCheck] = []
"""All of them, in the order in which a peer is built."""


def _check(
    name: str, section: str, rule: str
) -> Callable[[Callable[[Program], Awaitable[None]]], None]:
    def add(run: Callable[[Program], Awaitable[None]]) -> None:
        CHECKS.append(ProgramCheck(name, section, rule, run))

    return add


# --- Starting -----------------------------------------------------------------------------


@_check("ready", "Starting", "It prints READY HOST PORT, and takes control connections there.")
async def _ready(program: Program) -> None:
    control = await program.connect()
    await control.close()


@_check("describe", "Both roles", "describe says what the peer is, in its form.")
async def _describe(program: Program) -> None:
    control = await program.connect()
    reply = await control.ask("describe")
    if "ok" not in reply:
        raise Violation(f"describe was answered with {_said(reply)}")
    about = reply["ok"]
    if isinstance(about, dict) and about.get("contract") != CONTRACT_VERSION:
        raise Violation(
            f"describe says contract {about.get('contract')!r}; this is {CONTRACT_VERSION}"
        )
    if wrong := describe_breach(about):
        raise Violation(f"the answer to describe {wrong}")
    for role in ROLES:
        offered = about["apis"].get(role, [])
        declared = offered if program.declared is None else program.declared.get(role, [])
        if missing := [name for name in declared if name not in offered]:
            names = ", ".join(offered) or "none"
            raise Violation(
                f"peer.toml has the {role} {missing[0]}, which the apis of describe have not: "
                f"{names}"
            )
        if offered and (
            lacking := [name for name in _LIMITS if name not in limits_of(about, role)]
        ):
            raise Violation(
                f"the {role}'s limits in describe have no {', '.join(lacking)}: a number, or null"
            )
    if program.declared is None and not any(about["apis"].values()):
        raise Violation("the apis of describe have neither a server nor a client")
    await control.close()


def limits_of(about: Mapping[str, Any], role: str) -> Mapping[str, Any]:
    """Return the limits of a role that an answer to ``describe`` has."""
    found: Mapping[str, Any] = about["limits"].get(role, {})
    return found


@_check(
    "start.runs",
    "Starting",
    "It listens at the port that --listen names, and runs on when its stdin is closed.",
)
async def _runs(program: Program) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await _start(program, "--listen", f"127.0.0.1:{port}", stdin=False)
    try:
        address = await _first_line(program, process)
        if address.port != port:
            raise Violation(f"--listen 127.0.0.1:{port} was answered with READY {address}")
        control = await Control.connect(address, program.within)
        try:
            await control.ask("describe")
        except PeerDied as exc:
            raise Violation(f"it ended when its stdin was closed: {exc}") from None
        await control.close()
    finally:
        await kill_group(process)
        release(process)


@_check("start.ends", "Starting", "With --exit-with-stdin it ends when its stdin does.")
async def _ends(program: Program) -> None:
    process = await _start(program, "--listen", "127.0.0.1:0", "--exit-with-stdin", stdin=True)
    try:
        await _first_line(program, process)
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(program.within):
                await exited(process)
        except TimeoutError:
            raise Violation(
                f"it still runs {program.within:g} s after its stdin was closed"
            ) from None
    finally:
        await kill_group(process)
        release(process)


async def _start(program: Program, *arguments: str, stdin: bool) -> asyncio.subprocess.Process:
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(
        *program.command,
        *arguments,
        stdin=pipe if stdin else nothing,
        stdout=pipe,
        stderr=nothing,
        cwd=working_folder(),
        start_new_session=True,
    )


async def _first_line(program: Program, process: asyncio.subprocess.Process) -> Address:
    """Return the address in the first line that a process prints."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(program.start_within):
            line = (await process.stdout.readline()).decode("utf-8", "replace")
    except TimeoutError:
        raise Violation("no READY line", within=f"{program.start_within:g} s") from None
    try:
        return Address(*parse_ready(line))
    except ContractError as exc:
        if line:
            raise Violation(str(exc)) from None
        raise Violation(f"{exc}, and it {ended(await exited(process))}") from None


# --- Framing ------------------------------------------------------------------------------


@_check(
    "lines.pieces",
    "Framing",
    "A request may come in pieces, and several in one; each gets one reply, with its id.",
)
async def _pieces(program: Program) -> None:
    control = await program.connect()
    number, line = control.request("describe")
    for piece in (line[:5], line[5:-1], line[-1:]):
        control.write(piece)
        await asyncio.sleep(0.02)  # so that they are read one by one
    await control.reply(number, "describe")
    asked = dict(control.request("describe") for _ in range(5))
    control.write(b"".join(asked.values()))
    numbers = set(asked)
    while numbers:
        reply = await control.message("reply to each of 5 requests that came at once")
        if reply.get("id") not in numbers:
            raise Violation(f"a reply has the id {reply.get('id')!r}, which no request has")
        numbers.remove(reply["id"])
    await control.close()


@_check("lines.ids", "Requests and replies", "A reply has the id of its request, any whole number.")
async def _ids(program: Program) -> None:
    control = await program.connect()
    for number in (0, 7, 1 << 31, (1 << 53) - 1):
        control.write(b'{"id":%d,"op":"describe"}\n' % number)
        await control.reply(number, "describe")
    await control.close()


@_check(
    "lines.long", "Framing", "A line is UTF-8, may be long, and ends with \\n and nothing else."
)
async def _long(program: Program) -> None:
    control = await program.connect()
    text = "é🙂\u2028\u0085\\r" * 100_000
    control.write(f'{{"id":1,"op":"no-such-op","payload":"{text}"}}\n'.encode())
    await control.reply(1, f"an unknown op with {len(text.encode()):,} bytes")
    await control.close()


_NO_REQUESTS = (b"{not json", b"[]", b'{"op":"describe"}', b'{"id":2}', b"\xff\xfe", b"5")


@_check(
    "lines.no-request",
    "Framing",
    "A line that is no request costs its own session at most, and no other.",
)
async def _no_request(program: Program) -> None:
    other = await program.connect()
    await other.ask("describe")
    for line in _NO_REQUESTS:
        control = await program.connect()
        control.write(line + b"\n")
        control.write(b'{"id":9,"op":"describe"}\n')
        with contextlib.suppress(PeerDied), _told(f"after the line {line!r}"):
            while (await control.message("answer, nor an end of the session")).get("id") != 9:
                pass
        with _told(f"after the line {line!r} of another session", deaths=True):
            await other.ask("describe")
        if other.notes:
            raise Violation(
                f"the line {line!r} was reported in another session: {dict(other.notes[0])}"
            )
        await control.close()
    await other.close()


@contextlib.contextmanager
def _told(where: str, *, deaths: bool = False) -> Iterator[None]:
    """Say of a failure in the block where it was; with `deaths`, of the peer's end too."""
    try:
        yield
    except Violation as exc:
        raise Violation(f"{where}: {exc}") from None
    except PeerDied as exc:
        if not deaths:
            raise
        raise PeerDied(f"{where}: {exc.reason}") from None


# --- Requests and replies -----------------------------------------------------------------


@_check("unknown-op", "Requests and replies", "An op that it does not know is unsupported.")
async def _unknown(program: Program) -> None:
    control = await program.connect()
    for more in ({}, {"payload": [1, {"a": None}]}):
        op = f"no-such-op-{secrets.token_hex(4)}"
        reply = await control.ask(op, **more)
        if not reply.get("unsupported"):
            raise Violation(f"the unknown op {op!r} was answered with {_said(reply)}")
    await control.close()


_REFUSED: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "serve": ({}, {"api": 5}, {"api": None}, {"api": "NoSuchApi"}),
    "open": (
        {},
        {"api": 5, "url": "ws://127.0.0.1:1/"},
        {"api": "NoSuchApi", "url": "ws://127.0.0.1:1/", "events": []},
    ),
}


@_check(
    "wrong-arguments",
    "Requests and replies",
    "serve and open with an argument that is missing, or of another type, get an error.",
)
async def _wrong(program: Program) -> None:
    control = await program.connect()
    for op, each in _REFUSED.items():
        for arguments in each:
            with _told(f"{op} with {dict(arguments)}, in another form,"):
                reply = await control.ask(op, **arguments)
            if "ok" in reply:
                raise Violation(f"{op} with {dict(arguments)} was answered with ok")
    await control.ask("describe")
    await control.close()


def _said(reply: Mapping[str, Any]) -> str:
    return str({key: value for key, value in reply.items() if key != "id"})[:160]
