"""What an adapter is: structurally, as in zaptools 0.5."""

from __future__ import annotations

from zaptools.adapters import FastApiAdapter, SanicAdapter
from zaptools.protocols import ConnectionAdapter


def test_adapters_are_adapters() -> None:
    adapters: list[ConnectionAdapter] = [FastApiAdapter(1), SanicAdapter(2)]
    assert [adapter.websocket for adapter in adapters] == [1, 2]
