"""The negative control: each seeded defect is found, and laid at the right door.

``pytest -k mutant`` runs them. Four runs of the matrix serve all of these tests: of the broken
servers and of the broken clients, and, before each, of what is sound in the same cells.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from interop.catalog import load_peers, select
from interop.locks import locked
from interop.peers.mutant.session import CONSUMERS, SERVERS, SUBSCRIBERS
from interop.records import CellResult, Culprit, Role, decode, encode
from interop.verdicts.culprit import name_culprits

from . import mutants
from .mutants import Caught
from .runs import CLIENT, PYTHON, SERVER, run

SCORE = "culprit score of the hand-made mutants"
"""The property that `tests/conftest.py` prints."""

PEER = Path(__file__).parents[2] / "interop" / "peers" / "mutant"

Cells = list[CellResult]

(SUBSCRIBER,) = (api for api in load_peers()["python"].apis if api.name == "ZapSubscriber")
APIS = load_peers()["mutant"].apis
SOUND: Mapping[Role, str] = {"server": "sound", "client": "sound-too"}
TABLES: Mapping[Role, Mapping[str, Caught]] = {
    "server": mutants.SERVERS,
    "client": mutants.CLIENTS,
}
EACH = [(role, name) for role, table in TABLES.items() for name in table]
COMMANDS = {"python": PYTHON, "mutant": [sys.executable, "-m", "interop.peers.mutant"]}


def scenarios(table: Mapping[str, Caught]) -> list[str]:
    """Return all that catches one of these."""
    return sorted({each for caught in table.values() for each in caught.scenarios})


def run_matrix(role: Role, table: Mapping[str, Caught]) -> Cells:
    """Run each mutant in the scenarios that must catch it, and what is sound in all of them."""
    plan: dict[str, Any] = {"commands": COMMANDS, "strict": True, "scenarios": scenarios(table)}
    broken = tuple(api for api in APIS if api.role == role and api.name in table)
    only = {api.id: table[api.name].scenarios for api in broken}
    nothing = tuple(api for api in APIS if api.name == SOUND[role])
    if role == "server":
        first = run(servers=(SERVER, *nothing), clients=(CLIENT,), patience=5.0, **plan)
        # What must come has long come by then, and nearly each of these cells waits in vain.
        second = run(2, servers=broken, clients=(CLIENT,), only=only, patience=1.0, **plan)
    else:
        columns = (CLIENT, SUBSCRIBER, *nothing)
        first = run(servers=(SERVER,), clients=columns, patience=5.0, **plan)
        second = run(2, servers=(SERVER,), clients=broken, only=only, patience=1.0, **plan)
    assert first[1] == second[1] == ""
    cells = [*first[0], *second[0]]
    name_culprits(cells)
    return cells


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Role, Cells]:
    """The cells of all mutants and of what is sound, run once by whichever worker is first."""
    folder = tmp_path_factory.getbasetemp()
    roles = list(TABLES)
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent  # the workers' common one
        roles = roles[:: -1 if int(worker.removeprefix("gw")) % 2 else 1]  # two runs at a time
    return {role: shared(folder, role) for role in roles}


def shared(folder: Path, role: Role) -> Cells:
    file = folder / f"mutants-{role}.json"
    with locked(folder / f"mutants-{role}.lock"):
        if not file.exists():
            file.write_bytes(b"[%s]" % b",".join(map(encode, run_matrix(role, TABLES[role]))))
    return decode(file.read_bytes(), type=Cells)


def objections(cells: Cells, role: Role, name: str, caught: Caught) -> list[str]:
    """Return what is missing for that mutant to be caught; nothing if it is."""
    missing = []
    own = [cell for cell in cells if cell.api(role) == f"mutant/{name}"]
    for scenario in caught.scenarios:
        red = [c for c in own if c.scenario == scenario and c.verdict == "failed"]
        if not red:
            missing.append(f"{name} survives {scenario}")
        for cell in red:
            if not re.search(caught.seen, cell.reason):
                missing.append(f"{scenario} fails for another reason: {cell.reason}")
            culprit = cell.culprit
            if culprit is None or (culprit.side, culprit.api) != (role, f"mutant/{name}"):
                missing.append(f"{scenario} blames another: {cell.culprit}")
    return missing


@pytest.mark.parametrize(("role", "name"), EACH, ids=[name for _, name in EACH])
def test_a_mutant_is_caught(cells: Mapping[Role, Cells], role: Role, name: str) -> None:
    assert objections(cells[role], role, name, TABLES[role][name]) == []


@pytest.mark.parametrize("role", TABLES)
def test_what_is_sound_passes_where_mutants_fail(cells: Mapping[Role, Cells], role: Role) -> None:
    sound = [
        cell for cell in cells[role] if cell.api(role) not in {f"mutant/{n}" for n in TABLES[role]}
    ]
    assert {cell.api(role) for cell in sound} >= {f"mutant/{SOUND[role]}"}
    # ZapConsumer has no clean(), ZapSubscriber no callbacks, as their peer.toml says.
    assert {c.verdict for c in sound} <= {"passed", "unsupported"}
    passed = {cell.scenario for cell in sound if cell.verdict == "passed"}
    assert sorted(passed) == scenarios(TABLES[role])


@pytest.mark.parametrize("role", TABLES)
def test_a_mutant_with_no_defect_survives(cells: Mapping[Role, Cells], role: Role) -> None:
    for caught in TABLES[role].values():
        found = objections(cells[role], role, SOUND[role], caught)
        assert found == [f"{SOUND[role]} survives {each}" for each in caught.scenarios]


def named_frame(cell: CellResult) -> str:
    """Return the frame that a culprit names, as `mutants.FRAMES` describes frames."""
    index = cell.culprit.frame if cell.culprit else None
    if index is None or index >= len(cell.frames):
        return ""
    frame = cell.frames[index]
    code = "" if frame.code is None else f"{frame.code} "
    return f"{frame.author} {frame.kind} {code}{frame.text}"


def test_the_right_side_and_frame_are_named(
    cells: Mapping[Role, Cells], record_property: Callable[[str, object], None]
) -> None:
    sides, frames = Counter[bool](), Counter[bool]()
    wrong = []
    for role, name in EACH:
        own = [c for c in cells[role] if c.api(role) == f"mutant/{name}"]
        for cell in (c for c in own if c.scenario in TABLES[role][name].scenarios):
            sides[cell.culprit is not None and cell.culprit.side == role] += 1
            if pattern := mutants.FRAMES[role].get(name):
                right = re.match(pattern, named := named_frame(cell), re.DOTALL) is not None
                frames[right] += 1
                wrong += [] if right else [f"{name} in {cell.scenario}: {named[:80]!r}"]
    score = f"side right in {sides[True]} of {sides.total()}"
    frame_score = f"frame in {frames[True]} of {frames.total()} with a frame at fault"
    record_property(SCORE, f"{score}, {frame_score}")
    assert not sides[False]
    assert frames.total() >= 70
    assert frames[True] / frames.total() >= 0.9, wrong


def test_the_frames_at_fault_are_those_of_mutants() -> None:
    assert {(role, name) for role, table in mutants.FRAMES.items() for name in table} <= set(EACH)


def test_a_mutant_that_another_is_blamed_for_is_not_caught(cells: Mapping[Role, Cells]) -> None:
    (cell,) = [c for c in cells["server"] if c.server == "mutant/one-id"]
    caught = mutants.SERVERS["one-id"]
    for culprit in (Culprit("client", "", api=CLIENT.id), Culprit("unknown", "")):
        blamed = [replace(cell, culprit=culprit)]
        assert "blames another" in objections(blamed, "server", "one-id", caught)[0]
    another = [replace(cell, reason="no connected within 1 s")]
    assert "another reason" in objections(another, "server", "one-id", caught)[0]


def test_a_defect_stays_in_its_session() -> None:
    """One process serves all of these."""
    names = ("integers-as-floats", "one-id", "connected-twice", "floats-as-integers")
    red = ("echo.integers", "many.ids", "lifecycle.connected-once", "echo.floats")
    chosen = [api for api in APIS if api.name in (*names, *SOUND.values())]
    cells, broken = run(
        servers=tuple(api for api in chosen if api.role == "server"),
        clients=tuple(api for api in chosen if api.role == "client"),
        scenarios=red,
        commands=COMMANDS,
        patience=5.0,
    )
    assert broken == ""
    shown = dict(zip(names, red, strict=True))
    for cell in cells:
        sides = {cell.server.removeprefix("mutant/"), cell.client.removeprefix("mutant/")}
        failing = cell.scenario in {shown.get(name) for name in sides}
        assert cell.verdict == ("failed" if failing else "passed"), cell.reason


def test_each_mutant_has_its_row_or_column_and_its_scenarios() -> None:
    made = {("server", name) for name in SERVERS}
    made |= {("client", name) for name in (*CONSUMERS, *SUBSCRIBERS)}
    assert {(api.role, api.name) for api in APIS} == made
    assert made - set(SOUND.items()) == set(EACH)
    assert len(EACH) >= 40
    assert all(caught.seen and caught.scenarios for t in TABLES.values() for caught in t.values())


def test_no_run_has_mutants_unless_they_are_asked_for() -> None:
    apis = [api for peer in load_peers().values() for api in peer.apis]
    for patterns in ([], ["*"], ["*/*"], ["python"]):
        assert not [api for api in select(apis, "server", patterns) if api.peer == "mutant"]
    assert [api.name for api in select(apis, "server", ["mutant/one-id"])] == ["one-id"]
    assert len(select(apis, "client", ["mutant"])) == len(CONSUMERS) + len(SUBSCRIBERS)


def test_no_mutant_reaches_into_the_librarys_private_parts() -> None:
    """What a defect replaces has a public name; `_replace` is a named tuple's documented method."""
    for path in sorted(PEER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and re.match("_(?!replace$)[a-z]", node.attr):
                assert ast.unparse(node.value) == "self", f"{path.name}:{node.lineno}: {node.attr}"
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zaptools"):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                private = [name for name in names if name.startswith("_")]
                assert not private, f"{path.name}:{node.lineno}: {private}"
