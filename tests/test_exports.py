"""What the package offers is what its modules export, and nothing by accident."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zaptools

PACKAGE = Path(zaptools.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)

ADDRESSES = {
    "zaptools.adapters": "EVENT_KEY HEADERS_KEY PAYLOAD_KEY FastApiAdapter SanicAdapter",
    "zaptools.asgi": "AsgiApp AsgiCarrier handshake_of",
    "zaptools.client": (
        "EventCallback ReconnectPolicy Route Stream ZapClient ZapClientState ZapConsumer "
        "ZapSubscriber"
    ),
    "zaptools.connection": (
        "CloseInfo EventContext HandshakeRequest Refuse Transport WebSocketConnection new_id"
    ),
    "zaptools.connection_router": "ConnectionRouter",
    "zaptools.connectors": "AioHttpConnector FastApiConnector SanicConnector",
    "zaptools.connectors.aiohttp": "AioHttpConnector AioHttpConnectorOptions",
    "zaptools.connectors.fastapi": "FastApiConnector FastApiConnectorOptions StarletteWebSocket",
    "zaptools.connectors.sanic": "SanicConnector SanicConnectorOptions SanicWebSocket",
    "zaptools.core": (
        "EventCaller EventContext EventData EventProcessor EventRegister IDController "
        "WebSocketConnection"
    ),
    "zaptools.core.event_processor": "EventProcessor",
    "zaptools.core.events": (
        "Event EventBook EventCallback EventCaller EventContext EventData EventRegister RequestInfo"
    ),
    "zaptools.core.id_controller": "IDController",
    "zaptools.core.websocket_connection": "WebSocketConnection",
    "zaptools.exceptions": (
        "AlreadyConnectedError BufferOverflowError CloseSide CodecError ConnectError "
        "ConnectTimeoutError ConnectionClosedError HandshakeError InvalidUrlError NameTakenError "
        "NoRequestError NotConnectedError OfflineQueueFullError PayloadError ProxyError "
        "RegistrationError RemoteError ReservedEventError SendTimeoutError ServerStateError "
        "WrongThreadError ZapError"
    ),
    "zaptools.handshake": (
        "NO_HANDSHAKE Handshake Headers are_lists_too_long choose_subprotocol header_block"
    ),
    "zaptools.limits": "Limits",
    "zaptools.protocol": "LIFECYCLE_EVENTS MAX_DEPTH EventData decode_event encode_event",
    "zaptools.protocols": "ConnectionAdapter Event EventBook IDController",
    "zaptools.reconnect": "Backoff ReconnectPolicy is_fatal",
    "zaptools.registry": "CallNext EventRegister Handler HandlerBook Middleware",
    "zaptools.rooms": "BroadcastResult ConnectionRouter MetaTag Room RoomManager",
    "zaptools.server": "ZapServer",
    "zaptools.testing": "TestClient",
    "zaptools.tools": "Connector EventContext EventRegister",
    "zaptools.transport": "WebSocketTransport",
    "zaptools.zap_logger": "ZapLogger zap_logger",
}
"""Where programs import from, and what: an address that is here stays, with all of its names."""

OLD = ("adapters", "connection_router", "core", "protocols", "tools", "zap_logger")
"""Addresses that are there for programs of zaptools 0.5: imported from where they are."""

PARTS = {
    "AsgiApp",
    "AsgiCarrier",
    "Backoff",
    "CloseSide",
    "HandlerBook",
    "MAX_DEPTH",
    "NO_HANDSHAKE",
    "TestClient",
    "WebSocketTransport",
    "are_lists_too_long",
    "choose_subprotocol",
    "handshake_of",
    "header_block",
    "is_fatal",
    "new_id",
}
"""What an address exports to build a transport with: not for the package's front. A connector or
an application is imported from its module, which says for what it is."""


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_stays(address: str) -> None:
    """Each in a process of its own: it needs no other import before it."""
    program = f"from {address} import {', '.join(ADDRESSES[address].split())}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", MODULES)
def test_all_exists(name: str) -> None:
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert exported == sorted(exported, key=_isort)
    for each in exported:
        assert hasattr(module, each)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_exports_what_it_says(address: str) -> None:
    assert sorted(importlib.import_module(address).__all__) == sorted(ADDRESSES[address].split())


def test_the_front_is_what_public_modules_export() -> None:
    offered = {
        name
        for address, names in ADDRESSES.items()
        if not address.split(".")[1].startswith(OLD) and "connectors" not in address
        for name in names.split()
    }
    assert set(zaptools.__all__) == offered - PARTS
    assert PARTS <= offered
    assert len(zaptools.__all__) == len(set(zaptools.__all__))
    for exported in zaptools.__all__:
        assert hasattr(zaptools, exported)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str) -> None:
    source = inspect.getsource(importlib.import_module(name))
    assert ast.get_docstring(ast.parse(source))
    assert "from __future__ import annotations" in source or len(ast.parse(source).body) == 1


def test_dependencies() -> None:
    """Importing the library imports no more than it says."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "import zaptools, zaptools.asgi, zaptools.connectors\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(' '.join(sorted(new - set(sys.stdlib_module_names))))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    # No framework: connectors import theirs when they are used.
    # msgspec imports typing_extensions where it is installed.
    assert set(found) - {"typing_extensions"} == {"msgspec", "websockets", "zaptools"}


PUBLIC = {name for names in ADDRESSES.values() for name in names.split()}
PRIVATE = (
    {
        exported
        for name in MODULES
        for exported in getattr(importlib.import_module(name), "__all__", [])
    }
    - PUBLIC
    - set(zaptools.__all__)
)


def quoted(text: str | None) -> set[str]:
    """Return the names of things that a text points to."""
    return set(re.findall(r"`+(?:zaptools\.)?([A-Za-z_][\w.]*)", text or ""))


def test_docstrings_point_to_nothing_private() -> None:
    assert "BaseClient" in PRIVATE
    # That of the transport has classes to derive from, and tells how they fit into the rest.
    for name in sorted({*ADDRESSES} - {"zaptools.transport"}):
        module = importlib.import_module(name)
        texts = {name: module.__doc__}
        for exported in module.__all__:
            thing = getattr(module, exported)
            texts[exported] = inspect.getdoc(thing)
            for member, value in inspect.getmembers(thing) if inspect.isclass(thing) else ():
                if not member.startswith("_"):
                    texts[f"{exported}.{member}"] = inspect.getdoc(value)
        for place, text in texts.items():
            for word in quoted(text):
                assert word.split(".")[0] not in PRIVATE, place
                assert not re.search(r"(^|\.)_[a-z]", word), place


def test_pages_point_to_nothing_private() -> None:
    root = Path(zaptools.__file__).parents[1]
    # from-0.5.md names what 0.5 had; design.md is for those who change the library.
    others = {"from-0.5.md", "design.md"}
    for page in (root / "README.md", *(root / "docs").glob("*.md")):
        text = page.read_text("utf-8")
        for word in quoted(text) if page.name not in others else ():
            assert word not in PRIVATE or not word[0].isupper(), (page.name, word)
            assert not re.search(r"(^|\.)_[a-z]", word), (page.name, word)


def test_typed() -> None:
    assert Path(zaptools.__file__).with_name("py.typed").exists()


def _isort(name: str) -> tuple[int, str]:
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name
