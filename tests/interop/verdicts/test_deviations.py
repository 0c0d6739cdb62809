from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from interop.catalog import Api, load_peers
from interop.records import PeerRecord
from interop.run.runner import load_catalogue
from interop.verdicts.deviations import (
    Deviation,
    DeviationError,
    check,
    find,
    known_to_check,
    load,
    load_recorded,
    of_framework,
    parse,
)
from interop.verdicts.suggest import recorded_table

SERVER = Api("dart", "server", "ZapServer", "0.3.0")
CLIENT = Api("python", "client", "ZapConsumer")
ENTRY = """
[[deviation]]
peer = "dart/ZapServer"
role = "server"
scenario = ["many.ids", "rooms.*"]
seen = "'id' != 'id'"
cause = "gives every connection the id `id`"
"""


def test_an_entry_is_read() -> None:
    (entry,) = parse(ENTRY)
    assert entry == Deviation(
        "dart/ZapServer",
        "server",
        ("many.ids", "rooms.*"),
        "gives every connection the id `id`",
        ("'id' != 'id'",),
    )


def test_one_scenario_needs_no_list() -> None:
    (entry,) = parse(ENTRY.replace('["many.ids", "rooms.*"]', '"many.ids"'))
    assert entry.scenarios == ("many.ids",)


def test_an_entry_of_several_peers_is_one_for_each() -> None:
    one, two = parse(ENTRY.replace('"dart/ZapServer"', '["dart@0.2.5", "dart@0.3.0"]'))
    assert (one.peer, two.peer) == ("dart@0.2.5", "dart@0.3.0")
    assert (one.scenarios, one.seen, one.cause) == (two.scenarios, two.seen, two.cause)


@pytest.mark.parametrize(
    ("scenario", "found"), [("many.ids", True), ("rooms.members", True), ("many.ten", False)]
)
def test_a_cell_is_matched_by_scenario(scenario: str, found: bool) -> None:
    assert bool(find(parse(ENTRY), SERVER, CLIENT, scenario)) is found


def test_the_role_decides_which_side_is_meant() -> None:
    as_client = parse(ENTRY.replace('"server"', '"client"'))
    assert not find(as_client, SERVER, CLIENT, "many.ids")
    swapped = find(
        as_client, Api("x", "server", "Y"), Api("dart", "client", "ZapServer"), "many.ids"
    )
    assert swapped == as_client


def test_an_entry_describes_a_failure_by_its_text() -> None:
    (entry,) = parse(ENTRY.replace("\"'id' != 'id'\"", '["one$", "two"]'))
    assert entry.describes("this is one")
    assert entry.describes("two of them")
    assert not entry.describes("one or another")


def test_other_narrows_to_an_opposite() -> None:
    entries = parse(ENTRY + 'other = "pypi"\n')
    assert not find(entries, SERVER, CLIENT, "many.ids")
    assert find(entries, SERVER, Api("pypi", "client", "ZapClient", "0.5.2"), "many.ids")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[deviation", "Expected"),
        ("[[deviations]]\n", "unknown table 'deviations'"),
        ("deviation = 3", r"'deviation' must be tables: each begins with \[\[deviation\]\]"),
        ("deviation = [3]", "'deviation' must be tables"),
        ('[deviation]\npeer = "x"', "'deviation' must be tables"),
        (ENTRY.replace('cause = "gives every connection the id `id`"', 'cause = " "'), "'cause'"),
        (ENTRY.replace("cause", "because"), "unknown key 'because'"),
        (ENTRY + "cause_ = 1", "unknown key 'cause_'"),
        (ENTRY + "other = 1", "'other' must be a string"),
        (ENTRY + 'racy = "now and then"', "'racy' must be true or false"),
        (ENTRY.replace('"dart/ZapServer"', '["dart", ""]'), "'peer' must be"),
        (ENTRY.replace('"dart/ZapServer"', "[]"), "'peer' must be"),
        (ENTRY.replace("seen =", "upstream ="), "'seen' must be a regular expression, or a list"),
        (ENTRY.replace("\"'id' != 'id'\"", "[]"), "'seen' must be"),
        (ENTRY.replace("'id' != 'id'", "("), r"'seen' '\(': missing \), unterminated"),
        (ENTRY.replace("'id' != 'id'", ".*"), r"'seen' '\.\*' fits every failure"),
        (ENTRY.replace("'id' != 'id'", ".+"), r"'seen' '\.\+' fits every failure"),
        (ENTRY.replace('["many.ids", "rooms.*"]', "[1]"), "'scenario' must be"),
        (ENTRY.replace('role = "server"', 'role = "both"'), "'role' must be"),
        (ENTRY.replace('peer = "dart/ZapServer"', ""), "'peer' must be"),
        (ENTRY.replace('["many.ids", "rooms.*"]', "[]"), "'scenario' must be"),
    ],
)
def test_a_malformed_entry_is_named(text: str, says: str) -> None:
    with pytest.raises(DeviationError, match=says):
        parse(text)


def test_a_malformed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[[deviation]]\n", "utf-8")
    with pytest.raises(
        DeviationError, match=r"bad\.toml: deviation 1 \(no peer\): 'scenario' must"
    ):
        load(tmp_path / "bad.toml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DeviationError, match=r"bad\.toml: not UTF-8: "):
        load(tmp_path / "bad.toml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviationError, match="nothing-here"):
        load(tmp_path / "nothing-here.toml")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("dart/ZapServer", "drat"), "'drat' names no server"),
        (('role = "server"', 'role = "client"'), "names no client"),
        (("rooms.*", "roms.*"), r"'roms\.\*' names no scenario"),
        (("cause =", 'other = "pyppi"\ncause ='), "other = 'pyppi' names nothing"),
    ],
)
def test_an_entry_that_can_match_nothing_is_an_error(change: tuple[str, str], says: str) -> None:
    entries = parse(ENTRY.replace(*change))
    with pytest.raises(DeviationError, match=says):
        check(entries, [SERVER, CLIENT], ["many.ids", "rooms.members"])


def test_the_repositorys_own_file_matches_its_catalogue() -> None:
    apis = [api for peer in load_peers().values() for api in peer.apis]
    check(load(), apis, list(load_catalogue()))


def test_every_entry_says_what_an_application_sees() -> None:
    """A cause alone names a library's file and line."""
    entries = load()
    for entry in entries:
        assert entry.means, f"{entry.peer} ({entry.role}) has no 'means': {entry.cause}"
        assert entry.means.endswith("."), entry.means
    excuses = {entry.excuse for entry in entries}
    causes = {(excuse.peer, excuse.role, excuse.cause) for excuse in excuses}
    assert len(excuses) == len(causes), "one cause has several meanings"


def test_what_is_a_frameworks_fault_is_found_by_its_name_and_once() -> None:
    entry = ENTRY.replace("cause", 'framework = "uvicorn"\ncause')
    entries = parse(entry + entry.replace("dart/ZapServer", "other") + ENTRY)
    (found,) = of_framework(entries, "uvicorn")
    assert (found.peer, found.scenarios) == ("uvicorn", ("many.ids", "rooms.*"))
    assert of_framework(entries, "aiohttp") == []


def test_the_known_frameworks_are_those_below_this_librarys_connectors_and_dart_io() -> None:
    assert {entry.framework for entry in load()} == {"", "uvicorn", "aiohttp", "sanic", "dart-io"}


def test_a_file_about_one_server(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text('[[deviation]]\nscenario = "frames.ping.*"\nseen = "x"\ncause = "y"\n')
    (entry,) = known_to_check(path, ["frames.ping.1"])
    assert str(entry.excuse) == "ours.toml (server): y"
    with pytest.raises(DeviationError, match=r"ours.toml: 'frames.ping.\*' names no scenario"):
        known_to_check(path, ["echo.null"])
    path.write_text(ENTRY)
    with pytest.raises(DeviationError, match="'peer' is for the matrix; here is one server"):
        known_to_check(path, ["many.ids"])


RECORDED = """[recorded."dart@0.3.0"]
language = "Dart"
runtime = "3.7.3"
libraries = { zaptools_server = "0.3.0" }
sources = { zaptools_server = "aa" }
"""


def test_what_the_peers_were_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "deviations.toml"
    path.write_text(RECORDED, "utf-8")
    found = load_recorded(path)
    assert found["dart@0.3.0"].libraries == {"zaptools_server": "0.3.0"}
    assert load(path) == []
    path.write_text("[recorded]\ndart = 3\n", "utf-8")
    with pytest.raises(DeviationError, match="'recorded': Expected `object`"):
        load_recorded(path)
    with pytest.raises(DeviationError, match="unknown table 'recorded'"):
        parse(RECORDED, server="ours.toml")


def test_the_record_is_of_the_peers_that_have_entries() -> None:
    peers = {
        "dart@0.3.0/ZapServer": PeerRecord("Dart", "3.7.3", {"zaptools_server": "0.3.0"}, {}),
        "unknown/Server": PeerRecord("X", "1", {}, {}),
        "python/FastApiConnector": PeerRecord(
            "Python", "3.11.7", {"zaptools": "1", "uvicorn": "2"}, {}
        ),
    }
    entries = load()
    text = recorded_table(entries, peers)
    assert tomllib.loads(text)["recorded"] == {
        "dart@0.3.0": {
            "language": "Dart", "runtime": "3.7.3", "libraries": {"zaptools_server": "0.3.0"},
            "sources": {},
        },
        "python": {
            "language": "Python", "runtime": "3.11.7", "libraries": {"uvicorn": "2"},
            "sources": {},
        },
    }  # fmt: skip
