"""What a connector is given; the wrong arguments themselves are in tests/test_arguments.py."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from zaptools import EventRegister
from zaptools.connectors import AioHttpConnector, FastApiConnector, SanicConnector

CONNECTORS: list[tuple[Any, str, str, str]] = [
    (FastApiConnector, "websocket", "starlette", "fastapi"),
    (SanicConnector, "websocket", "sanic", "sanic"),
    (AioHttpConnector, "request", "aiohttp", "aiohttp"),
]


@pytest.mark.parametrize(("connector", "name", "module", "extra"), CONNECTORS)
def test_a_missing_extra(
    connector: Any, name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TypeError, match=f"{name} must be the .* that the endpoint gets, not 3"):
        connector(EventRegister(), 3)
    monkeypatch.setitem(sys.modules, module, None)
    cure = rf"{connector.__name__} needs {module}: pip install 'zaptools\[{extra}\]'"
    with pytest.raises(ModuleNotFoundError, match=cure) as info:
        connector(EventRegister(), 3)
    assert info.value.name == module


async def test_where_the_framework_is_needed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    request: Any = SimpleNamespace(transport=None, raw_headers=())
    connector = AioHttpConnector(EventRegister(), request)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        await connector.start()
