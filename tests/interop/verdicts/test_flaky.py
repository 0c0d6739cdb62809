from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from interop.catalog import JUDGES, Api
from interop.verdicts.deviations import DeviationError
from interop.verdicts.flaky import KnownFlaky, check, find, load, parse

SERVER = Api("dart", "server", "ZapServer", "0.3.0")
CLIENT = Api("python", "client", "ZapConsumer")
ENTRY = """[[flaky]]
server = "dart@0.3.0"
scenario = ["many.*", "echo.null"]
cause = "its\\n cause"
until = 2026-12-31
"""
FILE = Path("flaky.toml")
APIS = [SERVER, CLIENT, *JUDGES.values()]
SIDES = {"many.ids": "pair", "echo.null": "pair", "apart.server": "server", "apart.each": "each"}


def test_an_entry_names_cells_as_the_options_do() -> None:
    (entry,) = entries = parse(ENTRY)
    assert str(entry) == "known to be flaky until 2026-12-31: its cause"
    assert find(entries, SERVER, CLIENT, "many.ids") is entry
    assert find(entries, SERVER, CLIENT, "echo.object") is None
    assert find(entries, Api("python", "server", "ZapServer"), CLIENT, "many.ids") is None
    (entry,) = parse(ENTRY + 'client = "dart"')
    assert not entry.matches(SERVER, CLIENT, "echo.null")


def test_it_holds_until_the_end_of_its_day() -> None:
    (entry,) = parse(ENTRY)
    assert not entry.has_passed(date(2026, 12, 31))
    assert entry.has_passed(date(2027, 1, 1))
    assert parse(ENTRY.replace("2026-12-31", '"2026-12-31"')) == [entry]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[[flaky]]", "[[flakey]]", "unknown table 'flakey'; entries are [[flaky]]"),
        ("[[flaky]]", "[flaky]", "'flaky' must be tables: each begins with [[flaky]]"),
        ("cause", "causes", "entry 1: unknown key 'causes' (did you mean 'cause'?)"),
        ('"its\\n cause"', '" "', "entry 1: 'cause' must be a non-empty string"),
        ('cause = "its\\n cause"', "", "entry 1: 'cause' must be a non-empty string"),
        ('"dart@0.3.0"', "3", "entry 1: 'server' must be a non-empty string"),
        ('["many.*", "echo.null"]', "[]", "entry 1: 'scenario' must be an id or a list of ids"),
        ("until = 2026-12-31", "", "entry 1: 'until' must be a date, as 2026-12-31"),
        ("2026-12-31", "2026-12-31T00:00:00Z", "entry 1: 'until' must be a date, as 2026-12-31"),
        ("2026-12-31", '"31.12.2026"', "entry 1: 'until' '31.12.2026': Invalid isoformat string"),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / FILE
    path.write_text(ENTRY.replace(old, new), "utf-8")
    with pytest.raises(DeviationError) as caught:
        load(path)
    assert str(caught.value).startswith(f"--known-flaky {path}: ")
    assert says in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviationError, match=r"--known-flaky .*none: No such file"):
        load(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(DeviationError, match=r"bytes: not UTF-8"):
        load(tmp_path / "bytes")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("dart@0.3.0", "drat", "entry 1: 'drat' names no server (did you mean 'dart'?)"),
        ("dart@0.3.0", "python", "entry 1: 'python' names no server"),
        ("many.*", "mayn.ids", "entry 1: 'mayn.ids' names no scenario (did you mean 'many.ids'?)"),
    ],
)
def test_an_entry_that_can_match_no_cell_is_an_error(old: str, new: str, says: str) -> None:
    check(FILE, parse(ENTRY), APIS, SIDES)
    with pytest.raises(DeviationError) as caught:
        check(FILE, parse(ENTRY.replace(old, new)), APIS, SIDES)
    assert str(caught.value).startswith("--known-flaky flaky.toml: entry 1: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("server", "client", "scenario", "has"),
    [
        ("dart", "judge", "apart.server", True),
        ("dart", "judge", "apart.each", True),
        ("judge", "python", "apart.each", True),
        ("*", "*", "apart.*", True),
        ("judge", "python", "apart.server", False),
        ("dart", "python", "apart.*", False),
        ("dart", "judge", "many.ids", False),
        ("judge", "judge", "apart.each", False),
    ],
)
def test_an_entry_needs_a_cell_that_has_all_it_names(
    server: str, client: str, scenario: str, has: bool
) -> None:
    entry = KnownFlaky((scenario,), "its cause", "2026-12-31", server, client)
    if has:
        check(FILE, [entry], APIS, SIDES)
    else:
        with pytest.raises(DeviationError, match=f"has no cell between '{server}' and '{client}'"):
            check(FILE, [entry], APIS, SIDES)
