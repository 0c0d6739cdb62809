"""What is measured: the peers, the measures, and the rows of the table.

A row compares two peers in one measure. Its ratio is the first's value over the second's, so
that more is better for rates, and less for costs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from .errors import UsageError
from .loads.broadcast import broadcast
from .loads.cost import cost
from .loads.echo import echo
from .loads.idle import idle
from .loads.opening import opening
from .sample import Sample, Target
from .wires import EVENTS, SOCKET_IO, Wire

__all__ = ["MEASURES", "PEERS", "ROWS", "Measure", "Peer", "Row", "choose"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A program below ``bench/peers``.

    Attributes:
        title: how the table calls it.
        environment: the folder below ``bench/environments`` whose requirements it needs; None
            for the environment of this process.
        wire: how it wants events; None for a client.
        deflates: whether it has permessage-deflate.
    """

    name: str
    title: str
    program: str
    environment: Literal["others", "published"] | None = None
    wire: Wire | None = EVENTS
    deflates: bool = True


@dataclass(frozen=True, slots=True)
class Measure:
    """One way of putting a peer to work.

    Attributes:
        load: does it with a server; None for the one that measures clients.
        less: whether less is better.
        digits: how many to show after the point.
    """

    name: str
    title: str
    unit: str
    load: Callable[[Target], Awaitable[Sample]] | None
    less: bool = False
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        theirs: None for a line about `ours` alone.
        target: what the ratio (or the value, in a line about `ours` alone) has to reach; None
            for no target.
    """

    measure: str
    ours: str
    theirs: str | None
    target: float | None = None


PEERS = {
    peer.name: peer
    for peer in (
        Peer("zaptools", "ZapServer", "zaptools_server.py"),
        Peer("zaptools-fastapi", "FastApiConnector", "zaptools_fastapi.py", "others"),
        Peer("zaptools-asgi", "AsgiApp on uvicorn", "zaptools_asgi.py", "others"),
        Peer("websockets", "websockets, raw echo without JSON", "websockets_raw.py"),
        Peer("websockets-json", "websockets with json", "websockets_json.py"),
        Peer(
            "published", "zaptools 0.5.2 on FastAPI, uvicorn", "published_fastapi.py", "published"
        ),
        Peer("socketio", "python-socketio on uvicorn", "socketio_uvicorn.py", "others", SOCKET_IO),
        Peer("aiohttp", "aiohttp with json", "aiohttp_json.py", "others"),
        Peer(
            "picows", "picows with msgspec, by hand", "picows_msgspec.py", "others", deflates=False
        ),
        Peer("zaptools-consumer", "ZapConsumer", "zaptools_consumer.py", wire=None),
        Peer("zaptools-subscriber", "ZapSubscriber", "zaptools_subscriber.py", wire=None),
        Peer("websockets-client", "websockets client with json", "websockets_client.py", wire=None),
        Peer(
            "published-client",
            "zaptools 0.5.2 ZapClient",
            "published_client.py",
            "published",
            wire=None,
        ),
        Peer("aiohttp-client", "aiohttp client with json", "aiohttp_client.py", "others", None),
    )
}

MEASURES = {
    measure.name: measure
    for measure in (
        Measure(
            "echo",
            "echo, 16 connections x 32 in flight",
            "echoes/s",
            partial(echo, connections=16, in_flight=32),
        ),
        Measure(
            "ping-pong",
            "ping-pong, 100 connections x 1",
            "echoes/s",
            partial(echo, connections=100, in_flight=1),
        ),
        Measure(
            "broadcast",
            "broadcast to 500, CPU per receiver",
            "µs",
            partial(broadcast, receivers=500),
            less=True,
            digits=2,
        ),
        Measure("connect", "connect rate", "connections/s", opening),
        Measure(
            "memory",
            "memory per idle connection, of 2,000",
            "KiB",
            partial(idle, connections=2000),
            less=True,
            digits=1,
        ),
        Measure(
            "64k",
            "echo of 64 KiB, 4 connections x 4 in flight",
            "echoes/s",
            partial(echo, connections=4, in_flight=4, size=1 << 16),
        ),
        Measure(
            "1m",
            "echo of 1 MiB, 2 connections x 1",
            "echoes/s",
            partial(echo, connections=2, in_flight=1, size=1 << 20),
            digits=1,
        ),
        Measure("cost", "dear texts of 64 KiB, CPU per byte", "ns", cost, less=True, digits=1),
        Measure("receive", "client's receive rate", "events/s", None),
    )
}


def _rows(measure: str, ours: str, /, **theirs: float | None) -> list[Row]:
    return [Row(measure, ours, name.replace("_", "-"), goal) for name, goal in theirs.items()]


_REST = {"websockets_json": None, "published": None, "socketio": None, "aiohttp": None}

ROWS = (
    *_rows(
        "echo",
        "zaptools",
        websockets=2.5,
        websockets_json=None,
        published=5,
        socketio=10,
        aiohttp=None,
        picows=0.8,
    ),
    Row("echo", "zaptools-fastapi", "published", 1.6),
    Row("echo", "zaptools-asgi", "published"),
    *_rows("ping-pong", "zaptools", websockets=1.4, **_REST, picows=None),
    Row("ping-pong", "zaptools-fastapi", "published"),
    *_rows("broadcast", "zaptools", websockets=0.75, published=None, socketio=None, picows=None),
    *_rows("connect", "zaptools", websockets=1.5, published=None, socketio=None, aiohttp=None),
    Row("connect", "zaptools", "picows"),
    Row("memory", "zaptools", None, 10),
    *_rows("memory", "zaptools", websockets=0.7, published=None, socketio=None, aiohttp=None),
    Row("memory", "zaptools", "picows"),
    *_rows("64k", "zaptools", websockets=None, **_REST, picows=None),
    *_rows("1m", "zaptools", websockets=None, **_REST, picows=None),
    Row("cost", "zaptools", "websockets-json", 4),
    *_rows("receive", "zaptools-consumer", websockets_client=None, published_client=None),
    Row("receive", "zaptools-consumer", "aiohttp-client"),
    Row("receive", "zaptools-subscriber", "websockets-client"),
)

T = TypeVar("T")


def choose(measures: Sequence[str] = (), peers: Sequence[str] = ()) -> list[Row]:
    """Return the chosen rows.

    Args:
        measures: names out of `MEASURES`. Default all.
        peers: names out of `PEERS`. Default all. Of the compared ones (`Row.ours`) those that are
            named take part, of the others too; all of either kind if none of it is named.

    Raises:
        UsageError: there is no such name, or they have no row in common.
    """
    _check("measure", measures, MEASURES)
    _check("peer", peers, PEERS)
    ours = {row.ours for row in ROWS}.intersection(peers)
    theirs = set(peers) - ours
    rows = [
        row
        for row in ROWS
        if (not measures or row.measure in measures)
        and (not ours or row.ours in ours)
        and (not theirs or row.theirs in theirs or (row.theirs is None and row.ours in ours))
    ]
    if not rows:
        what = f"{', '.join(measures) or 'any measure'} with {', '.join(peers)}"
        raise UsageError(f"there is no row of {what}")
    return rows


def _check(kind: str, names: Sequence[str], known: dict[str, T]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"no {kind} {name!r}; there are: {', '.join(known)}")
