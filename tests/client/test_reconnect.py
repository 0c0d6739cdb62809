"""The policy: the delays, when they begin anew, when to give up. No socket, no loop."""

from __future__ import annotations

import ast
import dataclasses
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

import zaptools.client
import zaptools.client.reconnect
from zaptools import ReconnectPolicy
from zaptools.client.answer import Answer
from zaptools.client.reconnect import Backoff, is_fatal
from zaptools.exceptions import (
    ConnectError,
    ConnectionClosedError,
    ConnectTimeoutError,
    HandshakeError,
    InvalidUrlError,
    NotConnectedError,
)

URL = "ws://127.0.0.1/"


def longest(**values: Any) -> ReconnectPolicy:
    """Return a policy whose delays are always the longest."""
    return ReconnectPolicy(random=lambda: 1.0, **values)


def test_defaults() -> None:
    policy = ReconnectPolicy()
    assert repr(policy) == (
        "ReconnectPolicy(initial_delay=0.5, max_delay=30.0, factor=2.0, stable_after=30.0, "
        "max_retry_after=300.0, max_attempts=None)"
    )
    assert policy == ReconnectPolicy(random=lambda: 0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.factor = 3  # type: ignore[misc]  # that is the point
    assert zaptools.client.ReconnectPolicy is ReconnectPolicy


def test_delays_grow_up_to_the_longest() -> None:
    policy = longest()
    assert [policy.delay(n) for n in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert longest(factor=1).delay(99) == 0.5
    assert longest(factor=10.0).delay(10_000) == 30  # beyond what a float holds
    assert longest(factor=10).delay(10_000) == 30


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (0.25, 1.0), (0.5, 2.0)])
def test_the_whole_delay_is_random(value: float, expected: float) -> None:
    assert ReconnectPolicy(random=lambda: value).delay(3) == expected


def test_the_default_source_stays_in_range() -> None:
    policy = ReconnectPolicy()
    delays = {policy.delay(20) for _ in range(200)}
    assert len(delays) > 100 and all(0 <= delay < 30 for delay in delays)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"initial_delay": 0}, ValueError, "initial_delay must be more than 0, got 0"),
        ({"initial_delay": -1}, ValueError, "initial_delay"),
        ({"initial_delay": "1"}, TypeError, "must be a number of seconds, not '1'"),
        (
            {"initial_delay": 31},
            ValueError,
            "max_delay must be at least initial_delay, 31, got",
        ),
        ({"max_delay": math.inf}, ValueError, "max_delay must be finite, got inf"),
        ({"max_delay": None}, TypeError, "max_delay"),
        ({"max_delay": True}, TypeError, "max_delay must be a number of seconds, not True"),
        ({"factor": 0.5}, ValueError, "factor must be at least 1, got 0.5"),
        ({"factor": math.nan}, ValueError, "factor must be finite"),
        ({"stable_after": -0.1}, ValueError, "stable_after must be at least 0, got -0.1"),
        ({"max_retry_after": -1}, ValueError, "max_retry_after must be at least 0, got -1"),
        ({"max_attempts": 0}, ValueError, "max_attempts must be at least 1, got 0"),
        ({"max_attempts": 1.5}, TypeError, "max_attempts must be an int or None, not 1.5"),
        ({"max_attempts": True}, TypeError, "max_attempts"),
        ({"random": 3}, TypeError, "random must be a callable, not 3"),
    ],
)
def test_bad_values(values: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as info:
        ReconnectPolicy(**values)
    assert words in str(info.value)


def test_values_at_their_bounds() -> None:
    ReconnectPolicy(initial_delay=1, max_delay=1, factor=1, stable_after=0, max_attempts=1)


def test_a_backoff_counts() -> None:
    backoff = Backoff(longest(max_attempts=3))
    assert [backoff.next() for _ in range(5)] == [0.5, 1, 2, None, None]
    assert backoff.attempts == 3


def refusal(status: int, after: str | None) -> HandshakeError:
    answer = Answer(1 << 16)
    header = "" if after is None else f"Retry-After: {after}\r\n"
    answer.feed(f"HTTP/1.1 {status} No\r\n{header}\r\n".encode())
    return HandshakeError(URL, "", status=status, retry_after=answer.retry_after)


@pytest.mark.parametrize(
    ("status", "after", "delay"),
    [
        (503, "7", 7.5),
        (429, " 0 ", 0.5),
        (503, "86400", 60.5),  # more than the policy allows
        (503, "9" * 400, 60.5),
        (503, "Fri, 31 Dec 1999 23:59:59 GMT", 0.5),
        (503, "Fri, 31 Dec 1999 23:59:59 -0000", 0.5),
        (503, "Fri, 31 Dec 9998 23:59:59 GMT", 60.5),
        *((503, after, 0.5) for after in (None, "", "soon", "-7", "1.5", "\u0662")),
        (503, f"Fri, 31 Dec {10**20} 23:59:59 GMT", 0.5),
        (503, f"Fri, 31 Dec 1999 23:59:59 +{10**20}", 0.5),
        *((status, "7", 0.5) for status in (400, 500)),
    ],
)
def test_a_server_says_when(status: int, after: str | None, delay: float) -> None:
    """Its time comes before the policy's, so that not all clients come back at once."""
    backoff = Backoff(longest(max_retry_after=60))
    assert backoff.next(refusal(status, after)) == delay


def test_a_date_is_from_now_on() -> None:
    date = datetime.now(UTC) + timedelta(minutes=1)
    asked = refusal(503, format_datetime(date, usegmt=True)).retry_after
    assert asked is not None and 50 < asked <= 60
    assert refusal(503, None).retry_after is None


def test_only_a_stable_connection_begins_anew() -> None:
    backoff = Backoff(longest(stable_after=10))
    assert [backoff.next(), backoff.next()] == [0.5, 1]
    backoff.ended(9.9)
    assert backoff.next() == 2
    backoff.ended(10)
    assert backoff.next() == 0.5


@pytest.mark.parametrize(
    ("error", "fatal"),
    [
        *((HandshakeError(URL, "", status=status), True) for status in (401, 403, 404)),
        *((HandshakeError(URL, "", status=s), False) for s in (400, 409, 429, 500, 503, None)),
        (HandshakeError(URL, "", negotiation=True), True),
        (ConnectionClosedError(1008, "", "remote"), True),
        *((ConnectionClosedError(code), False) for code in (1000, 1001, 1006, 1011, 1013, 4000)),
        (ConnectError(URL, ""), False),
        (ConnectTimeoutError(URL, ""), False),
        (InvalidUrlError(URL, ""), True),
        (NotConnectedError(), True),
        (RuntimeError(), True),
    ],
    ids=repr,
)
def test_fatal_errors(error: Exception, fatal: bool) -> None:
    assert is_fatal(error) is fatal


def test_it_does_no_io() -> None:
    found = set()
    for node in ast.walk(ast.parse(Path(zaptools.client.reconnect.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    allowed = {"__future__", "collections.abc", "dataclasses", "random"}
    allowed |= {".._arguments", "..exceptions", "..protocol.close"}
    assert found == allowed
