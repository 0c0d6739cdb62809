"""A control connection by hand: any bytes out, lines in; and the forms of these lines.

`interop.control.session.Session` writes only what the contract allows, and what it does not need
of a line it does not look at.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
from collections.abc import Mapping
from typing import Any

import jsonschema

from ..control.contract import Address, ContractError, Request, encode, parse_message
from ..control.lines import Lines
from ..errors import PeerDied, Violation
from ..schemas import contract_schema

__all__ = ["Control", "breach", "describe_breach"]

_SHOWN = 160


class Control:
    """One control connection.

    Args:
        within: seconds for each answer.

    Attributes:
        notes: the notifications that came.
    """

    def __init__(self, within: float) -> None:
        self.notes: list[Mapping[str, Any]] = []
        self._within = within
        self._ids = itertools.count(1)
        self._came: asyncio.Queue[bytes | None] = asyncio.Queue()  # None: the connection ended
        self._lines = Lines(self._came.put_nowait, lambda exc: self._came.put_nowait(None))

    @classmethod
    async def connect(cls, address: Address, within: float) -> Control:
        """Return a new connection to the peer at `address`.

        Raises:
            PeerDied: it takes none.
        """
        control = cls(within)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                await loop.create_connection(lambda: control._lines, address.host, address.port)
        except TimeoutError:
            raise PeerDied(f"{address} takes no control connection within {within:g} s") from None
        except OSError as exc:
            raise PeerDied(f"{address} takes no control connection: {exc.strerror}") from exc
        return control

    def write(self, data: bytes) -> None:
        """Send bytes at once, whatever they are."""
        self._lines.write(data)

    def request(self, op: str, **args: Any) -> tuple[int, bytes]:
        """Return the id and the line of a request."""
        number = next(self._ids)
        return number, encode(Request(number, op, args))

    async def ask(self, op: str, **args: Any) -> Mapping[str, Any]:
        """Send a request and return its reply; raises what `reply` raises."""
        number, line = self.request(op, **args)
        self.write(line)
        return await self.reply(number, op)

    async def reply(self, number: int, op: str) -> Mapping[str, Any]:
        """Return the next reply, which must be to request `number`, past any notifications.

        Raises:
            Violation: there is none in time, or it is another's, or it has another form.
            PeerDied: the connection ended.
        """
        while True:
            message = await self.message(f"reply to {op}")
            if "on" in message:
                self.notes.append(message)
            elif message["id"] == number:
                return message
            else:
                raise Violation(f"{op} had the id {number}, and its reply has {message['id']!r}")

    async def message(self, what: str) -> Mapping[str, Any]:
        """Return the next line that comes, whatever it says.

        Raises:
            Violation: there is none in time, or it has not the form of the contract.
            PeerDied: the connection ended.
        """
        try:
            async with asyncio.timeout(self._within):
                line = await self._came.get()
        except TimeoutError:
            raise Violation(f"no {what}", within=f"{self._within:g} s") from None
        if line is None:
            self._came.put_nowait(None)
            raise PeerDied("the peer closed its control connection")
        if wrong := breach(line):
            raise Violation(wrong)
        found: Mapping[str, Any] = json.loads(line)
        return found

    async def close(self) -> None:
        """Close it as a testbed does that is done, with what was written sent before."""
        self._lines.close()

    def reset(self) -> None:
        """End it at once, as where a testbed is killed."""
        self._lines.abort()


def breach(line: bytes) -> str:
    """Return in what a peer's line is against its form; empty if it is not."""
    try:
        parse_message(line)
    except ContractError as exc:
        return f"a line that is no reply and no notification: {exc}"
    message = json.loads(line)
    if "on" in message:
        name, form = f"the notification {message['on']}", _form("notification", message["on"])
    else:
        kind = next(each for each in ("ok", "error", "unsupported") if each in message)
        name, form = "a reply", _form("reply", kind)
    if wrong := _first_error(form, message):
        return f"{name} {wrong}: {line[:_SHOWN].decode('utf-8', 'replace')}"
    return ""


def describe_breach(about: object) -> str:
    """Return in what an answer to ``describe`` is against its form; empty if it is not."""
    return _first_error(_form("describe"), about)


@functools.cache
def _form(of: str, kind: str = "") -> jsonschema.Draft202012Validator:
    """Return what validates notifications of that name, replies of that outcome, or describe's."""
    found = contract_schema()["$defs"][of]
    if of == "notification":
        found = next(f for f in found["oneOf"] if f["properties"]["on"] == {"const": kind})
    elif of == "reply":
        found = next(form for form in found["oneOf"] if kind in form["properties"])
    return jsonschema.Draft202012Validator(found)


def _first_error(form: jsonschema.Draft202012Validator, value: object) -> str:
    for error in sorted(form.iter_errors(value), key=lambda each: len(each.absolute_path)):
        where = "".join(f" at {part!r}" for part in error.absolute_path)
        return f"has not its form{where} ({error.message[:_SHOWN]})"
    return ""
