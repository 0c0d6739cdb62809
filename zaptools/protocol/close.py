"""How connections end (RFC 6455, section 7): the codes, and the states that all transports share.

::

    open ──┬── this side closes, or gives the peer up ──┬──> closed ──> finished
           └── the peer closes, a fault, a lost network ┘

- *open*: `WebSocketConnection.closed` is None, and sends succeed.
- *closed*: it is set, once, and by `mark_closed` alone; sends fail. Events that wait for handlers
  are dropped if this side closes; else they are handled.
- *finished*: the ``disconnected`` handler is done, and the connection is in no room any more.

Between open and closed, a socket of our own answers the peer's close frame, and after closed waits
for the peer: `zaptools.transport.closing` has these states.

The calls that end a connection, and what each does::

    WebSocketConnection.close     this side closes, and waits for the peer
    Transport.close, .abort       the same; end at once without waiting
    mark_closed                   sets `WebSocketConnection.closed`: sends fail from now on

    Dispatcher.end                no message will arrive: handle the queued ones, then disconnected
              .run_to_end         the same, in the current task (connectors)
              .drop_messages      forget the queued messages: this side closes
              .cancel             forget them, and cancel the running handler; disconnected follows
              .stop_crew          cancel the handlers that run at the same time, and wait for them
              .abort              because of an error: forget them, abort the transport, stop the
                                  crew, call disconnected
              .call_disconnected  call that handler, once; `finished` is True after it

    Closing.start                 open to closing, or answering to ended: this side closes
           .receive, .receive_eof open to answering or ended: the peer closes, a fault, EOF
           .end                   answering to ended: messages are handled, or close timeout
           .peer_is_silent        open to ended: no pong
           .abort                 any state to ended, without waiting
           .tcp_lost              any state to lost
           .handlers_done         lost to over
           .linger, .set_deadline bound the time that a state may take
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .._arguments import check_kind
from ..exceptions import CloseSide

__all__ = [
    "GOING_AWAY",
    "INTERNAL_ERROR",
    "INVALID_TEXT",
    "LOST",
    "NORMAL",
    "NO_CODE",
    "POLICY_VIOLATION",
    "PROTOCOL_ERROR",
    "SERVICE_RESTART",
    "TOO_BIG",
    "CloseInfo",
    "check_close",
    "may_be_sent",
]

# The codes that this library sends or has to recognize (RFC 6455, section 7.4.1).
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
"""A side is shut down."""
PROTOCOL_ERROR: Final = 1002
NO_CODE: Final = 1005
"""The close frame had no code; no frame carries this."""
INVALID_TEXT: Final = 1007
"""A text that is not UTF-8."""
POLICY_VIOLATION: Final = 1008
"""A server rejects the client."""
TOO_BIG: Final = 1009
"""A message longer than `Limits.message_bytes`."""
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
"""In IANA's registry; only servers send it."""


class CloseInfo(NamedTuple):
    """How a connection ended; the fields are those of `ConnectionClosedError`."""

    code: int
    reason: str = ""
    by: CloseSide = None


LOST = CloseInfo(1006)
"""A connection that was lost without a close frame (RFC 6455, section 7.1.5)."""


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry `code` (RFC 6455, section 7.4, and IANA's registry)."""
    return code in (1000, 1001, 1002, 1003) or 1007 <= code <= 1014 or 3000 <= code <= 4999


def check_close(code: int, reason: str) -> None:
    """Raise unless a close frame may carry these (RFC 6455, sections 5.5.1 and 7.4).

    Raises:
        TypeError: the code is no int, or the reason no str.
        ValueError: no close frame may carry them.
    """
    check_kind(code, int, "code")
    check_kind(reason, str, "reason")
    if not may_be_sent(code):
        raise ValueError(f"a close frame cannot carry the code {code}; use 1000, or 3000 to 4999")
    if len(reason.encode()) > 123:
        size = len(reason.encode())
        raise ValueError(f"reason must have at most 123 bytes in UTF-8, got {size}")
