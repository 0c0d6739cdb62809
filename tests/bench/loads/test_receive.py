"""Clients are given events, as fast as they read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bench.catalog import PEERS
from bench.environments import Environments
from bench.errors import MeasureError
from bench.loads.receive import Source, event_count, receive
from bench.program import Program

from ...support.tcp import FakeTcp


def client(peer: str, *options: str) -> Program:
    command, environment = Environments().command(PEERS[peer])
    more = ["--loop", "asyncio", "--count", "500", *options]
    return Program([*command, *more], environment=environment)


@pytest.mark.parametrize("deflated", [True, False])
@pytest.mark.parametrize("peer", ["zaptools-consumer", "zaptools-subscriber", "websockets-client"])
async def test_a_client_is_measured(peer: str, deflated: bool) -> None:
    options = ["--deflate"] if deflated else []
    sample = await receive(
        lambda port: client(peer, *options, "--port", str(port)), deflated=deflated
    )
    assert sample.value > 0
    assert 0 < sample.measured_cpu < 2


async def test_a_client_that_fails_is_told() -> None:
    with pytest.raises(MeasureError, match="ended with status 1"):
        # It offers no compression, so it is refused.
        await receive(lambda port: client("websockets-client", "--port", str(port)), deflated=True)


class TestSource:
    """The server that a client reads from."""

    REQUEST = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    async def test_it_answers_once_the_request_is_whole(self) -> None:
        source, tcp = Source(), FakeTcp()
        source.connection_made(tcp)
        source.data_received(self.REQUEST[:20])
        assert tcp.writes == []
        source.data_received(self.REQUEST[20:])
        # The answer to this key is the example of RFC 6455, section 1.3.
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in tcp.writes[0]
        source.connection_lost(None)

    async def test_it_sends_while_the_client_reads(self) -> None:
        source, tcp = Source(), FakeTcp()
        source.connection_made(tcp)
        source.data_received(self.REQUEST)
        source.data_received(b"what a client sends is of no interest")
        await asyncio.sleep(0)
        assert len(tcp.writes) == 3
        source.pause_writing()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(tcp.writes) == 3
        source.resume_writing()
        assert len(tcp.writes) == 4
        await asyncio.sleep(0)
        assert len(tcp.writes) == 5  # one after the other: not two at once
        source.connection_lost(None)

    async def test_a_write_that_fills_the_buffer_is_the_last_until_it_is_empty(self) -> None:
        class FullOnce(FakeTcp):
            def write(self, data: Any) -> None:
                super().write(data)
                if len(self.writes) == 1:
                    source.pause_writing()

        source, tcp = Source(), FullOnce()
        source.connection_made(tcp)
        source._open = True
        source.resume_writing()
        assert len(tcp.writes) == 1
        source.resume_writing()
        assert len(tcp.writes) == 2
        await asyncio.sleep(0)
        assert len(tcp.writes) == 3  # one after the other: not two at once
        source.connection_lost(None)


def test_the_events_are_as_many_as_the_time_asks_for() -> None:
    assert event_count(0.5) == 15_000
