"""Asks an application whether a client gets a connection, within a time limit.

::

    request ──> on_handshake ──┬──> returns nothing: accepted, `state` goes to the connection
                               ├──> Refuse: its status, its headers, its body
                               ├──> another exception, or another value: 500
                               └──> takes too long: 503
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from .._arguments import shown
from .._tasks import ends_task
from ..connection.admission import HandshakeRequest, Refuse
from ..connection.handshake import Handshake
from ..limits import Limits
from .book import HandlerBook

__all__ = ["decide"]

logger = logging.getLogger(__name__)


async def decide(
    book: HandlerBook,
    handshake: Handshake,
    limits: Limits,
    *,
    offered: Sequence[str] | None = None,
) -> tuple[Refuse | None, SimpleNamespace | None]:
    """Decide on a request.

    Args:
        book: has the application's function, if there is one.
        handshake: the request.
        limits: `Limits.admission_timeout` is used.
        offered: the subprotocols that the client offers. Default None: those in the headers.

    Returns:
        The refusal, None to accept; and the state for the connection, None for a new one.
    """
    admission: Callable[[HandshakeRequest], Any] | None = book.admission
    if admission is None:
        return None, None
    request = HandshakeRequest.of(handshake, offered)
    answer: Any = None
    failure: BaseException | None = None
    problem, status = "", 500
    scope = asyncio.timeout(limits.admission_timeout)
    try:
        async with scope:
            result = admission(request)
            answer = await result if inspect.isawaitable(result) else result
    except Refuse as exc:
        return exc, None
    except BaseException as exc:  # of whatever kind: the client waits for an answer
        if ends_task(exc):
            raise
        problem, failure = "failed", exc
    if isinstance(answer, Refuse):  # returned, where raised was meant
        return answer, None
    if scope.expired():  # also if the function has caught the cancellation
        problem, status = f"took longer than {limits.admission_timeout} s", 503
        failure = None
    elif answer is not None:
        problem = f"returned {shown(answer)}, in place of nothing or Refuse"
    if not problem:
        return None, request.state
    if book.failures_of("").take(logger):
        logger.error("a handshake was refused: on_handshake %s", problem, exc_info=failure)
    return Refuse(status), None
