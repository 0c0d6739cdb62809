from __future__ import annotations

from pathlib import Path

import pytest

from interop.control.contract import NOTIFICATIONS
from interop.control.operations import OPERATIONS
from interop.model.contract import items, stands_for
from interop.peers._app import EVENTS

PAGE = (Path(__file__).parents[3] / "docs" / "peer-contract.md").read_text("utf-8")

TABLES = """
| key | value |
|---|---|
| `none` | of it |

| op | arguments | does |
|---|---|---|
| `stop` | | as `close()` does |
| `serve` | `api`, `path` (default `/ws`), `all` (true or `false`), limits? | starts |

| `on` | keys | when |
|---|---|---|
| `state` | `state`: `online` or `offline`; `conn`? | told |

| event | payload | does |
|---|---|---|
| `join`, `leave` | `{"room": name, "no-one": bool}` | sends `joined` |
"""


def test_the_items_are_those_of_the_tables() -> None:
    assert items(TABLES) == [
        "op stop",
        *(f"op serve {name}".rstrip() for name in ("", "api", "path", "all")),
        *(f"op serve {name}" for name in ("message_bytes", "ping_interval_s", "ping_timeout_s")),
        "op serve close_timeout_s",
        *(f"on state {name}".rstrip() for name in ("", "state", "conn")),
        *("app join", "app join room", "app join no-one"),
        *("app leave", "app leave room", "app leave no-one"),
    ]


def test_the_page_has_every_operation_notification_and_event_of_the_code() -> None:
    found = items(PAGE)
    ops = {name for name, operation in OPERATIONS.items() if not operation.of_app}
    assert {item.split()[1] for item in found if item.startswith("op ")} == ops
    assert {item.split()[1] for item in found if item.startswith("on ")} == NOTIFICATIONS
    assert {item.split()[1] for item in found if item.startswith("app ")} == {*EVENTS}


@pytest.mark.parametrize(
    ("item", "other"),
    [
        ("op push headers", "op push"),
        ("op serve origins", "op serve origins"),
        ("app to-room exclude-self", "app to-room"),
        ("app close-me code", "app close-me code"),
        ("on disconnected code", "on disconnected"),
        ("op serve", "op serve"),
    ],
)
def test_what_an_item_is_looked_at_with(item: str, other: str) -> None:
    assert stands_for(item) == other
