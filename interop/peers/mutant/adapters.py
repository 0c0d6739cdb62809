"""Defects of the adapter between the testbed and the library: what the peer reports and passes on.

The library itself is sound here. So the session's own methods are what is replaced.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from interop.peers._control import Failure
from interop.peers.mutant.seams import ServerSeam, override

__all__ = ["SERVER"]

Seed = Callable[[ServerSeam], None]


def _role(**methods: Callable[..., Any]) -> Seed:
    """Replace methods of the session; each gets the original class first."""

    def seed(seam: ServerSeam) -> None:
        base: Any = type(seam.role)

        def bound(method: Callable[..., Any]) -> Callable[..., Any]:
            return lambda role, *args, **more: method(base, role, *args, **more)

        override(seam.role, **{name: bound(method) for name, method in methods.items()})

    return seed


def _names_are_ids(seam: ServerSeam) -> None:
    named: dict[str, Any] = {}

    def name(role: Any, connection: Any) -> str:
        named[connection.id] = connection
        return str(connection.id)

    override(seam.role, name=name, find=lambda role, conn: named[conn])


def _finds_any(base: Any, role: Any, conn: str) -> Any:
    return base.find(role, "1")


async def _serves_again(base: Any, role: Any, *args: Any, **more: Any) -> dict[str, Any]:
    return {"port": 1}


async def _pushes_object(
    base: Any, role: Any, conn: str, event: str, payload: Any = None, **more: Any
) -> None:
    await base.op_push(role, conn, event, payload or {}, **more)


async def _drops_all(base: Any, role: Any, conn: str, **how: Any) -> None:
    for each in ("1", "2"):
        with contextlib.suppress(Failure):
            await base.find(role, each).close(**how)


async def _drops_without_reason(
    base: Any, role: Any, conn: str, code: int = 1000, reason: str = ""
) -> None:
    await base.op_drop(role, conn, code=code)


async def _describes_no_runtime(base: Any, role: Any) -> dict[str, Any]:
    return {**await base.op_describe(role), "runtime": ""}


async def _declares_no_close_timeout(base: Any, role: Any) -> dict[str, Any]:
    about = await base.op_describe(role)
    limits = {**about["limits"]["server"], "close_timeout_s": None}
    return {**about, "limits": {**about["limits"], "server": limits}}


def _notifies_more(base: Any, role: Any, on: str, **data: Any) -> None:
    base.notify(role, on, **data, peer="mutant")


_ALL: weakref.WeakSet[Any] = weakref.WeakSet()


def _tells_all_of_an_end(seam: ServerSeam) -> None:
    _ALL.add(seam.role)

    def notify(role: Any, on: str, **data: Any) -> None:
        for each in _ALL if on == "disconnected" else (role,):
            base.notify(each, on, **data)

    base = override(seam.role, notify=notify)


def _infinity_is_null(base: Any, role: Any, on: str, **data: Any) -> None:
    base.notify(role, on, **data)
    if on == "error":  # what this library refuses, others pass on
        event: dict[str, Any] = {"name": "whoami", "payload": None, "headers": {}, "via": "named"}
        base.notify(role, "event", conn=data["conn"], **event)


SERVER: Mapping[str, Seed] = {
    "conn-is-library-id": _names_are_ids,
    "any-conn-will-do": _role(find=_finds_any),
    "second-server-served": _role(op_serve=_serves_again),
    "null-pushed-as-object": _role(op_push=_pushes_object),
    "drop-drops-all": _role(op_drop=_drops_all),
    "drop-loses-reason": _role(op_drop=_drops_without_reason),
    "describes-no-runtime": _role(op_describe=_describes_no_runtime),
    "takes-undeclared-limit": _role(op_describe=_declares_no_close_timeout),
    "notification-with-more": _role(notify=_notifies_more),
    "ends-told-to-all-sessions": _tells_all_of_an_end,
    "infinity-reported-as-null": _role(notify=_infinity_is_null),
}
"""Defects of a server's adapter by name."""
