"""When a client reconnects by itself: the delays, and the errors after which it gives up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import random as _random

from .._arguments import check_count, check_function, check_number, check_seconds, explained
from ..exceptions import ConnectError, ConnectionClosedError, HandshakeError, InvalidUrlError
from ..protocol.close import POLICY_VIOLATION

__all__ = ["Backoff", "ReconnectPolicy", "is_fatal"]

_FATAL_STATUS = (401, 403, 404)
"""Statuses that another attempt would get again (RFC 9110, sections 15.5.2, 15.5.4, 15.5.5)."""


@explained()
@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectPolicy:
    """Exponential backoff with full jitter. Times are in seconds.

    Before attempt number n (from 0) a client waits for a random time between 0 and
    ``initial_delay * factor ** n``, but no longer than `max_delay`. The whole delay is random, so
    that the clients of a server that went away do not come back all at once.

    Attributes:
        initial_delay: the longest delay before the first attempt. Default 0.5.
        max_delay: the longest delay before any attempt. Default 30.
        factor: what the longest delay is multiplied by with each attempt. Default 2.
        stable_after: a connection that was online this long makes the next attempt a first one. A
            shorter one does not: a server that accepts and drops at once is asked ever more
            rarely. Default 30, as `max_delay` is, so that a connection which breaks time and
            again is made no more often than one which cannot be made.
        max_retry_after: the most that a server can add to a delay, by ``Retry-After`` in a 429 or
            503. Default 300.
        max_attempts: the number of attempts in a row, with no such connection between them, after
            which the client gives up. Default None: no bound.
        random: returns a float from 0 up to 1. Default `random.random`.

    Raises:
        TypeError: a value is no number, `max_attempts` no int, or `random` is not callable.
        ValueError: a value is out of its range.
    """

    initial_delay: float = 0.5
    max_delay: float = 30.0
    factor: float = 2.0
    stable_after: float = 30.0
    max_retry_after: float = 300.0
    max_attempts: int | None = None
    random: Callable[[], float] = field(default=_random, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_seconds(self.initial_delay, "initial_delay", none=False, zero=False)
        check_seconds(self.max_delay, "max_delay", none=False)
        check_seconds(self.stable_after, "stable_after", none=False)
        check_seconds(self.max_retry_after, "max_retry_after", none=False)
        if self.max_delay < self.initial_delay:
            raise ValueError(
                f"max_delay must be at least initial_delay, {self.initial_delay!r}, "
                f"got {self.max_delay!r}"
            )
        check_number(self.factor, "factor", 1)
        check_count(self.max_attempts, "max_attempts", none=True)
        check_function(self.random, "random")

    def delay(self, attempt: int) -> float:
        """Return the delay before this attempt, in seconds; the first one is number 0."""
        try:
            longest = min(self.max_delay, self.initial_delay * self.factor**attempt)
        except OverflowError:
            longest = self.max_delay
        return longest * self.random()


class Backoff:
    """A client's progress through its policy.

    Args:
        policy: gives the delays.

    Attributes:
        attempts: the number of attempts since the last stable connection.
    """

    __slots__ = ("_policy", "attempts")

    def __init__(self, policy: ReconnectPolicy) -> None:
        self._policy = policy
        self.attempts = 0

    def next(self, error: BaseException | None = None) -> float | None:
        """Count one more attempt, after `error`; return the delay before it, None to give up."""
        attempt, policy = self.attempts, self._policy
        if attempt == policy.max_attempts:
            return None
        self.attempts += 1
        asked = error.retry_after if isinstance(error, HandshakeError) else None
        return min(asked or 0.0, policy.max_retry_after) + policy.delay(attempt)

    def ended(self, seconds: float) -> None:
        """Begin anew if the connection that has ended was stable: online for `seconds`."""
        if seconds >= self._policy.stable_after:
            self.attempts = 0


def is_fatal(error: BaseException) -> bool:
    """Whether another attempt after `error` would be pointless.

    So it is after HTTP 401, 403 or 404, after an answer with a subprotocol that was not offered,
    after the close code 1008, and after an error that is no failure of a connection.
    """
    if isinstance(error, HandshakeError):
        return error.negotiation or error.status in _FATAL_STATUS
    if isinstance(error, ConnectionClosedError):
        return error.code == POLICY_VIOLATION
    return isinstance(error, InvalidUrlError) or not isinstance(error, ConnectError)
