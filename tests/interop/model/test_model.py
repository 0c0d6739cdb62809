from __future__ import annotations

import re
from pathlib import Path

import pytest

from interop.model import contract
from interop.model.model import MODEL, Model, ModelError, contradicted, load, problems, unnamed
from interop.records import CellResult, FrameRecord, Notifications, RequestRecord, Requests
from interop.run.runner import load_catalogue
from tests.interop.model import surfaces
from tests.interop.runs import CLIENT, run

ROOT = Path(__file__).parents[3]
CONTRACT = (ROOT / "docs" / "peer-contract.md").read_text("utf-8")

SMALL = """
[dimension.payload]
what = "its kind"
values = {null = "null", text = "text"}
[kind.send]
what = "Sends"
dimensions = ["payload"]
[capability."server.push"]
kind = "send"
what = "from outside"
uses = ["op push"]
asked = ["push"]
[[look]]
of = ["server.push"]
at = ["payload.null"]
scenarios = ["a.*"]
[[gap]]
of = ["server.push"]
at = ["payload.text"]
because = "for a reason"
[[names]]
package = "l"
names = ["A", "*.b"]
of = ["server.push"]
[below]
wire = ["frames.*"]
[never]
"""
AT = 'of = ["server.push"]\nat = ["payload.null"]'
NAMES = 'names = ["A", "*.b"]\nof = ["server.push"]'
SCENARIOS = ["a.one", "a.two", "frames.x"]


def model(tmp_path: Path, text: str = SMALL) -> Model:
    path = tmp_path / "model.toml"
    path.write_text(text, "utf-8")
    return load(path)


def found(
    tmp_path: Path, old: str = "", new: str = "", items: tuple[str, ...] = ("op push",)
) -> list[str]:
    """Return the problems of the small model, with one text in place of another."""
    assert old in SMALL
    text = SMALL.replace(old, new) if old else SMALL
    return problems(model(tmp_path, text), scenarios=SCENARIOS, items=items)


# --- The repository's own -------------------------------------------------------------------------


def test_nothing_is_wrong_with_the_model() -> None:
    items = contract.items(CONTRACT)
    assert problems(load(), scenarios=[*load_catalogue()], items=items) == []


def test_no_reason_is_a_promise() -> None:
    text = MODEL.read_text("utf-8")
    assert re.findall(r"(?i)no scenario|\byet\b|\bto ?do\b|\btbd\b|for now", _reasons(text)) == []


def _reasons(text: str) -> str:
    return "\n".join(re.findall(r'^(?:because|unseen) = "(.*)"$', text, re.MULTILINE))


@pytest.mark.parametrize("library", surfaces.SURFACES)
def test_every_public_name_of_a_library_has_its_capability(library: str) -> None:
    public = surfaces.SURFACES[library]()
    if not public:
        pytest.skip("its source is not on this machine")
    assert unnamed(load(), library, public) == []


@pytest.mark.parametrize("library", surfaces.SURFACES)
def test_a_name_that_is_looked_at_is_in_its_peer(library: str) -> None:
    """Arguments of a Dart class are given by position, and are no words of the source."""
    source = surfaces.adapters(library)
    claimed = [
        n for each in load().names if each.package == library and each.of for n in each.names
    ]
    assert len(claimed) > 10
    for name in claimed:
        word = re.split(r"[.(]", name.rstrip(")"))[-1]
        if "(" not in name or "Dart" not in library:
            assert re.search(rf"\b{word}\b", source), f"{library}: no peer uses {name}"


def test_every_library_of_the_model_is_read() -> None:
    assert {each.package for each in load().names} == {*surfaces.SURFACES}


def test_the_records_of_a_run_show_what_the_model_claims() -> None:
    """One pair, the client that has streams to end, and the judge: some 600 cells."""
    subscriber = CLIENT.parse("python/ZapSubscriber", "client")
    cells, broken = run(scenarios=(), faults=False, at_once=20, patience=5.0)
    more, _ = run(clients=(subscriber,), scenarios=("lifecycle.clean",))
    assert not broken
    assert contradicted(load(), [*cells, *more], contract.items(CONTRACT)) == []


# --- What is wrong is said, with what to write where ----------------------------------------------


def test_a_whole_model_has_no_problem(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_a_place_without_scenario_and_reason_is_a_hole(tmp_path: Path) -> None:
    (hole,) = found(tmp_path, 'text = "text"', 'text = "text", float = "a float"')
    assert hole == (
        "no scenario looks at server.push with payload.float, and no gap says why: "
        "add a [[look]] or a [[gap]] to model.toml"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            (AT, AT.replace('"server.push"', '"server.*", "client.x"')),
            "of 'client.x' names nothing",
        ),
        (('at = ["payload.null"]', 'at = ["payload.null", "size.*"]'), "at 'size.*' names nothing"),
        (('"a.*"', '"a.*", "b.*"'), "'b.*' names no scenario"),
        (('"frames.*"', '"frames.*", "x"'), "'x' names no scenario in [below] 'wire'"),
        (('"a.*"', '"a.one"'), "the model says of no place that a.two looks at it: name it in"),
        (('at = ["payload.null"]', 'at = ["payload.*"]'), "look at every place of it: remove"),
        (('"for a reason"', '""'), "there is no reason in"),
        (('uses = ["op push"]', 'uses = ["op push", "op pull"]'), "the contract has no 'op pull'"),
        ((NAMES, 'names = ["A"]'), "either `of` or `because` is needed"),
        ((NAMES, 'names = ["A"]\nof = ["x"]'), "no capability 'x'"),
        ((NAMES, NAMES.replace('"A"', '"A", "A"')), "'A' of 'l' is in [[names]] of model.toml 2"),
    ],
)
def test_a_stale_entry_is_named(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    (problem,) = found(tmp_path, *change)
    assert says in problem


def test_an_item_of_the_contract_that_no_capability_uses_is_named(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, items=("op push", "op push conn", "op serve tls"))
    assert problem == (
        "no capability uses the contract's 'op serve tls': add it to the `uses` of one in "
        "model.toml"
    )


def test_a_public_name_that_no_entry_has_is_named(tmp_path: Path) -> None:
    small = model(tmp_path)
    assert unnamed(small, "l", ["A", "A.b", "B.b"]) == []
    assert unnamed(small, "l", ["A", "A.b", "A.c"]) == [
        "no [[names]] of 'l' in model.toml has 'A.c': add it"
    ]
    assert unnamed(small, "l", ["A"]) == ["l has no public name '*.b'"]


@pytest.mark.parametrize("change", [("[below]", "[below"), ("[never]", ""), ("what =", "that =")])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, change: tuple[str, str]) -> None:
    with pytest.raises(ModelError, match=r"model\.toml: "):
        model(tmp_path, SMALL.replace(*change))


# --- What records show ----------------------------------------------------------------------------


def pushing(scenario: str, payload: str) -> CellResult:
    """Return a cell in which a server pushes an event."""
    text = f'{{"eventName":"e","payload":{payload},"headers":{{}}}}'
    return CellResult(
        verdict="passed",
        reason="",
        duration_ms=1,
        server="python/ZapServer",
        client="python/ZapConsumer",
        scenario=scenario,
        rule="",
        severity="must",
        frames=[FrameRecord(2.0, 1, "server", "client", "text", len(text), text=text)],
        requests=Requests([RequestRecord("push", {"event": "e", "conn": "1"}, 1.0)], [[]]),
        notifications=Notifications([], [[]]),
    )


def test_a_claim_that_records_show_is_not_contradicted(tmp_path: Path) -> None:
    cells = [pushing("a.one", "null"), pushing("a.two", "null")]
    assert contradicted(model(tmp_path), cells, ["op push"]) == []


def test_a_claim_that_no_record_shows_is_named(tmp_path: Path) -> None:
    small = model(tmp_path, SMALL.replace('"payload.null"', '"payload.*"'))
    problems = contradicted(small, [pushing("a.one", "null")], [])
    assert problems == [
        "no record shows server.push with payload.text, as claimed by the [[look]] of model.toml "
        "with of = ['server.push'], at = ['payload.*']"
    ]


def test_scenarios_that_show_nothing_of_a_claim_are_named(tmp_path: Path) -> None:
    small = model(tmp_path, SMALL.replace('"a.*"', '"a.*", "frames.*"'))
    (problem,) = contradicted(small, [pushing("a.one", "null")], [])
    assert problem.startswith("no record shows any of it in 'frames.*', as claimed by ")


def test_an_item_that_no_run_uses_is_named_and_one_that_is_used_is_not_excused(
    tmp_path: Path,
) -> None:
    cells = [pushing("a.one", "null")]
    (problem,) = contradicted(model(tmp_path), cells, ["op push", "op pull"])
    assert problem == "no scenario uses the contract's 'op pull': write one"
    small = model(tmp_path, SMALL + '"op push" = "why"\n"op pull" = "why"\n')
    (problem,) = contradicted(small, cells, ["op push", "op pull"])
    assert problem == "scenarios use 'op push': remove it from [never]"
