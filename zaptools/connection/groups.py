"""What a connection belongs to, and leaves by itself when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from ..exceptions import ConnectionClosedError
from ..protocol.close import LOST

if TYPE_CHECKING:
    from .connection import CloseInfo, WebSocketConnection

__all__ = ["Group", "Member"]


class Group(Protocol):
    """What has connections as members: a room, a router."""

    def _forget(self, connection: WebSocketConnection) -> None:
        """Let go of a member that has ended. Must not raise."""


class Member:
    """What can be in groups: the base of `WebSocketConnection`.

    A group holds its members; a member knows its groups, in the order in which it joined them,
    but does not keep them alive.
    """

    __slots__ = ("_groups", "_over")

    closed: CloseInfo | None

    def __init__(self) -> None:
        self._groups: WeakKeyDictionary[Group, None] | None = None
        self._over = False

    def _join(self, group: Group) -> None:
        """Note that this is a member of `group` from now on.

        Raises:
            ConnectionClosedError: the connection is over, and would never leave.
        """
        if self._over:
            raise ConnectionClosedError(*(self.closed or LOST))
        if self._groups is None:
            self._groups = WeakKeyDictionary()
        self._groups[group] = None

    def _quit(self, group: Group) -> None:
        """Note that this is no member of `group` any more."""
        if self._groups is not None:
            self._groups.pop(group, None)

    def _leave_groups(self) -> None:
        """Leave every group, for good: called once, after the ``disconnected`` handler."""
        self._over = True
        groups, self._groups = self._groups, None
        for group in list(groups or ()):
            group._forget(self)  # type: ignore[arg-type]  # every member is a connection
