"""Connections are opened and closed in batches."""

from __future__ import annotations

import socket

import pytest

from bench.errors import MeasureError
from bench.loads import opening as module
from bench.loads.opening import opening
from bench.sample import Target
from bench.wires import EVENTS

from ..servers import FakeProgram, answering, target_of


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 40)
    monkeypatch.setattr(module, "_GOODBYE_TIMEOUT", 0.01)


@pytest.mark.parametrize("peer", ["zaptools", "websockets"])
async def test_a_server_is_measured(peer: str) -> None:
    with target_of(peer, seconds=0.01) as target:
        assert (await opening(target)).value > 0


async def test_a_refusal_is_told() -> None:
    async with answering(lambda number, data: b"HTTP/1.1 503 No\r\n\r\n") as target:
        with pytest.raises(MeasureError, match=r"answered with b'HTTP/1.1 503"):
            await opening(target)


async def test_a_server_that_hangs_up_is_told() -> None:
    async with answering(lambda number, data: None) as target:
        with pytest.raises(MeasureError, match="answer"):
            await opening(target)


async def test_a_server_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.0)
    async with answering(lambda number, data: b"") as target:
        with pytest.raises(MeasureError, match="no answer to a handshake within 0 s"):
            await opening(target)


async def test_a_server_that_is_not_there_is_told() -> None:
    async with answering(lambda number, data: None) as target:
        port = target.program.port
    with pytest.raises(MeasureError, match="cannot be reached"):
        await opening(Target(FakeProgram(port), EVENTS, 0.01))


def test_a_connection_that_is_cut_off_is_told() -> None:
    with socket.socket() as sock, pytest.raises(MeasureError, match="no answer to a handshake: "):
        module._check(sock)  # it is not connected
