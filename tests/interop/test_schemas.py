"""The schemas of what a peer's author writes are those of the testbed itself."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from interop.catalog import PEERS_DIR
from interop.control.contract import Notification, Reply, Request
from interop.control.operations import OPERATIONS
from interop.model.contract import items
from interop.records import CellResult
from interop.schemas import (
    NOTIFICATIONS,
    REQUESTS,
    SCHEMAS,
    contract_schema,
    peer_schema,
    text,
)

from .runs import run

PAGE = Path(__file__).parents[2] / "docs" / "peer-contract.md"
PEER_FILES = [*PEERS_DIR.glob("*/peer.toml"), Path(__file__).with_name("outside") / "peer.toml"]
GOOD = 'language = "C"\nruntime = "here"\nmodule = "m"\n[[api]]\nrole = "server"\nname = "S"\n'


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_each_is_made_from_the_code(path: Path) -> None:
    assert path.read_text("utf-8") == text(SCHEMAS[path]()), "python -m interop.schemas"
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("path", PEER_FILES, ids=lambda path: path.parent.name)
def test_every_peer_file_is_of_its_schema(path: Path) -> None:
    jsonschema.validate(tomllib.loads(path.read_text("utf-8")), peer_schema())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("language", "languages"),
        ('runtime = "here"', 'runtime = "cloud"'),
        ('module = "m"', 'script = "m"'),
        ('"here"', '"python"'),
        ('role = "server"', 'role = "both"'),
        ('name = "S"', 'name = ""'),
        ('name = "S"', 'name = "S"\ncolour = "red"'),
        ("language =", "colour = 1\nlanguage ="),
        ("language =", "control = 1\nlanguage ="),
        ('name = "S"', 'name = "S"\nlacks = ["clean"]'),
        ('name = "S"', 'name = "S"\nlacks.clean = ""'),
        ('name = "S"', 'name = "S"\nlacks.claen = "x"'),
        ('name = "S"', 'name = "S"\nlacks."close code reason" = "x"'),
        ('name = "S"', 'name = "S"\nversions = ["1"]\npackage = "s"'),
        ("[[api]]", "[api]"),
    ],
)
def test_what_the_testbed_refuses_in_a_peer_file_the_schema_refuses(old: str, new: str) -> None:
    """The same mistakes are in `test_catalog`."""
    assert old in GOOD
    jsonschema.validate(tomllib.loads(GOOD), peer_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(GOOD.replace(old, new, 1)), peer_schema())


@pytest.mark.parametrize(
    ("versions", "good"),
    [
        ('versions = ["2", "1"]\npackage = "s"', True),
        ('versions = ["1"]\npackage = "s"\nsuperseded = true', True),
        ('versions = ["1"]', False),
        ('versions = []\npackage = "s"', False),
        ('version = "1"\nversions = ["1"]\npackage = "s"', False),
        ('version = "1"\nsuperseded = true', False),
    ],
)
def test_versions(versions: str, good: bool) -> None:
    file = GOOD.replace('"here"', '"venv"').replace("module", "script")
    data = tomllib.loads(file.replace('name = "S"', f'name = "S"\n{versions}'))
    assert jsonschema.Draft202012Validator(peer_schema()).is_valid(data) is good


def test_the_contracts_schema_has_what_its_page_has() -> None:
    on_page = items(PAGE.read_text("utf-8"))
    for kind, table in (("op", REQUESTS), ("on", NOTIFICATIONS)):
        found = {
            f"{kind} {name} {key}" for name, keys in table.items() for key in {**keys[0], **keys[1]}
        }
        assert found == {
            item for item in on_page if item.count(" ") == 2 and item.startswith(f"{kind} ")
        }
    operations = {name for name, each in OPERATIONS.items() if not each.of_app}
    assert operations | {"describe"} == set(REQUESTS)


def lines(cells: list[CellResult]) -> list[dict[str, Any]]:
    """Return the requests and notifications of cells, as they were on control connections."""
    found: list[dict[str, Any]] = []
    for cell in cells:
        assert cell.requests is not None
        assert cell.notifications is not None
        for requests in (cell.requests.server, *cell.requests.clients):
            found += [Request(1, each.op, each.args).to_json() for each in requests]
        for notes in (cell.notifications.server, *cell.notifications.clients):
            found += [{k: v for k, v in note.items() if k != "t_ms"} for note in notes]
    return found


def test_what_passes_between_the_testbed_and_peers_is_of_the_contracts_schema() -> None:
    chosen = ("echo.objects", "lifecycle.*", "rooms.exclude*", "reconnect.delay*", "request.*",
              "deflate.agreed", "values.callback*")  # fmt: skip
    cells, broken = run(scenarios=chosen, at_once=20)
    assert broken == ""
    validator = jsonschema.Draft202012Validator(contract_schema())
    found = lines(cells)
    assert {"open", "serve", "send", "close"} <= {line.get("op") for line in found}
    for line in found:
        validator.validate(line)


@pytest.mark.parametrize(
    "line",
    [
        {"id": 1, "op": "sned", "event": "a"},
        {"id": 1, "op": "send"},
        {"id": "1", "op": "send", "event": "a"},
        {"id": 1, "op": "send", "event": "a", "colour": "red"},
        {"id": 1, "ok": {}, "unsupported": "both"},
        {"id": 1},
        {"id": 1, "error": {"kind": "E"}},
        {"on": "state", "state": "red"},
        {"on": "states", "state": "online"},
    ],
)
def test_another_line_is_refused(line: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(contract_schema()).is_valid(line)


@pytest.mark.parametrize(
    "line",
    [
        Request(1, "send", {"event": "a"}),
        Reply(1, ok={}),
        Reply(1, error={"kind": "E", "message": "m"}),
        Reply(1, unsupported="none"),
        Notification("state", {"state": "online"}),
    ],
)
def test_a_line_is_valid(line: Request | Reply | Notification) -> None:
    jsonschema.validate(line.to_json(), contract_schema())
