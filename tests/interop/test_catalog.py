from __future__ import annotations

from pathlib import Path

import pytest

from interop.catalog import Api, CatalogError, load_peers, peer_of, program_of, select

CONSUMER = Api("dart", "client", "ZapConsumer", "0.5.0")
SUBSCRIBER = Api("dart-0.3", "client", "ZapSubscriber", "0.3.0")
SERVER = Api("python", "server", "ZapServer")
CONTROL = Api("broken", "server", "S", control=True)
ALL = [CONSUMER, SUBSCRIBER, SERVER]


def test_the_repositorys_peers_load() -> None:
    apis = [api.id for peer in load_peers().values() for api in peer.apis]
    assert {"python/ZapServer", "dart@0.5.0/ZapConsumer", "dart-io/Server"} <= set(apis)
    assert len(apis) == len(set(apis))


def test_names() -> None:
    assert (CONSUMER.id, SERVER.id) == ("dart@0.5.0/ZapConsumer", "python/ZapServer")


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("dart", [CONSUMER]),
        ("dart@0.5.0", [CONSUMER]),
        ("dart/ZapConsumer", [CONSUMER]),
        ("dart@0.5.0/ZapConsumer", [CONSUMER]),
        ("dart*", [CONSUMER, SUBSCRIBER]),
        ("*/ZapS*", [SUBSCRIBER]),
        ("*", [CONSUMER, SUBSCRIBER]),
    ],
)
def test_a_pattern_chooses(pattern: str, chosen: list[Api]) -> None:
    assert select(ALL, "client", [pattern]) == chosen


def test_no_pattern_chooses_all_of_the_role() -> None:
    assert select(ALL, "server", []) == [SERVER]


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [("*", [SERVER]), ("*/ZapServer", [SERVER]), ("broken*", [CONTROL]), ("broken/S", [CONTROL])],
)
def test_a_control_is_chosen_by_its_name_alone(pattern: str, chosen: list[Api]) -> None:
    assert select([SERVER, CONTROL], "server", [pattern]) == chosen
    assert select([SERVER, CONTROL], "server", []) == [SERVER]


def test_a_pattern_that_fits_a_control_by_chance_names_nothing() -> None:
    with pytest.raises(CatalogError, match="names no server"):
        select([CONTROL], "server", ["*/S"])


def test_patterns_add_up_without_repeating() -> None:
    assert select(ALL, "client", ["dart", "*Consumer"]) == [CONSUMER]


OLD = Api("dart", "client", "ZapConsumer", "0.4.0", older=True)


@pytest.mark.parametrize(
    ("patterns", "older", "chosen"),
    [
        ([], False, [CONSUMER]),
        (["dart"], False, [CONSUMER]),
        (["*"], False, [CONSUMER]),
        (["dart@*"], False, [CONSUMER, OLD]),
        (["dart@0.4.0"], False, [OLD]),
        (["dart"], True, [CONSUMER, OLD]),
        ([], True, [CONSUMER, OLD]),
    ],
)
def test_older_versions_must_be_asked_for(
    patterns: list[str], older: bool, chosen: list[Api]
) -> None:
    assert select([CONSUMER, OLD, SERVER], "client", patterns, older=older) == chosen


@pytest.mark.parametrize(
    ("id", "program", "peer"),
    [
        ("dart@0.3.0/ZapServer", "dart@0.3.0", "dart"),
        ("python/ZapServer", "python", "python"),
        ("dart@0.3.0", "dart@0.3.0", "dart"),
    ],
)
def test_an_id_names_its_program_and_its_peer(id: str, program: str, peer: str) -> None:
    assert (program_of(id), peer_of(id)) == (program, peer)


def test_an_older_version_is_a_program_of_its_own() -> None:
    assert (CONSUMER.program, OLD.program) == ("dart", "dart@0.4.0")


def test_versions_are_an_api_each_and_pin_their_package(tmp_path: Path) -> None:
    versions = 'name = "S"\npackage = "s"\nversions = ["3", "2", "1"]'
    more = '\n[[api]]\nrole = "client"\nname = "C"\npackage = "c"\nversions = ["9", "2"]'
    text = GOOD.replace('"here"', '"venv"').replace("module", "script")
    (peer,) = load_peers(write(tmp_path, text.replace('name = "S"', versions) + more)).values()
    assert [(api.id, api.older) for api in peer.apis] == [
        ("mine@3/S", False),
        ("mine@2/S", True),
        ("mine@1/S", True),
        ("mine@9/C", False),
        ("mine@2/C", True),
    ]
    assert peer.pins == {"2": {"s": "2", "c": "2"}, "1": {"s": "1"}}


def test_every_version_of_a_table_lacks_the_same(tmp_path: Path) -> None:
    versions = 'name = "S"\npackage = "s"\nversions = ["3", "2"]\nlacks.rooms = "none"'
    text = GOOD.replace('"here"', '"venv"').replace("module", "script")
    (peer,) = load_peers(write(tmp_path, text.replace('name = "S"', versions))).values()
    assert [api.lacks for api in peer.apis] == [{"rooms": "none"}] * 2


def test_an_api_that_another_peer_has_newer_is_older_in_every_version(tmp_path: Path) -> None:
    versions = 'name = "S"\npackage = "s"\nversions = ["3", "2"]\nsuperseded = true'
    text = GOOD.replace('"here"', '"venv"').replace("module", "script")
    (peer,) = load_peers(write(tmp_path, text.replace('name = "S"', versions))).values()
    assert [(api.version, api.older) for api in peer.apis] == [("3", True), ("2", True)]
    assert peer.pins == {"3": {"s": "3"}, "2": {"s": "2"}}


@pytest.mark.parametrize(
    ("versions", "says"),
    [
        ('versions = ["1"]', "'package' must be a non-empty string"),
        ('versions = []\npackage = "s"', "'versions' of 'S' must be a list, the newest first"),
        ('versions = "1"\npackage = "s"', "'versions' of 'S' must be a list, the newest first"),
        ('versions = ["1", 2]\npackage = "s"', "'versions' of 'S' must be a list"),
        ('version = "1"\nversions = ["1"]\npackage = "s"', "unknown key 'version' in api 'S'"),
    ],
)
def test_bad_versions_are_named(tmp_path: Path, versions: str, says: str) -> None:
    text = GOOD.replace('"here"', '"venv"').replace("module", "script")
    with pytest.raises(CatalogError, match=says):
        load_peers(write(tmp_path, text.replace('name = "S"', f'name = "S"\n{versions}')))


def test_a_runtime_that_cannot_have_versions_says_so(tmp_path: Path) -> None:
    text = GOOD.replace('name = "S"', 'name = "S"\nversions = ["1"]\npackage = "s"')
    with pytest.raises(CatalogError, match="runtime 'here' has no 'versions' of 'S'"):
        load_peers(write(tmp_path, text))


@pytest.mark.parametrize(
    ("pattern", "there"),
    [
        ("drat", "dart"),
        ("", "dart"),
        ("python", "dart"),
        ("ZapConsumer", "dart"),
        ("dart@0.4.0", "dart@0.5.0/ZapConsumer"),
        ("dart/ZapConsumr", "dart@0.5.0/ZapConsumer"),
    ],
)
def test_a_pattern_that_chooses_nothing_says_what_there_is(pattern: str, there: str) -> None:
    """Of a peer that there is its APIs, and else the peers: all APIs of all fill a screen."""
    with pytest.raises(CatalogError) as caught:
        select(ALL, "client", [pattern])
    assert "names no client" in str(caught.value)
    assert f"; there are: {there}" in str(caught.value)
    assert ("ZapConsumer (" in str(caught.value)) == ("/" in there)


@pytest.mark.parametrize(
    ("pattern", "close"),
    [
        ("drat", " (did you mean 'dart'?)"),
        ("dart@0.5.0/ZapConsumr", " (did you mean 'dart@0.5.0/ZapConsumer'?)"),
        ("fortran", ""),
        (SERVER.id, ""),  # is no slip: it is a server
    ],
)
def test_a_slip_of_the_pen_is_answered_with_the_closest_name(pattern: str, close: str) -> None:
    with pytest.raises(CatalogError) as caught:
        select(ALL, "client", [pattern])
    assert f"{pattern!r} names no client{close}; " in str(caught.value)


GOOD = 'language = "C"\nruntime = "here"\nmodule = "m"\n[[api]]\nrole = "server"\nname = "S"\n'


def write(directory: Path, text: str) -> Path:
    folder = directory / "mine"
    folder.mkdir()
    (folder / "peer.toml").write_text(text, "utf-8")
    return directory


def test_a_peer_is_named_by_its_folder(tmp_path: Path) -> None:
    (peer,) = load_peers(write(tmp_path, GOOD)).values()
    assert (peer.name, peer.entry_point, peer.apis[0].id) == ("mine", "m", "mine/S")


def test_a_peer_may_be_a_control(tmp_path: Path) -> None:
    (peer,) = load_peers(write(tmp_path, "control = true\n" + GOOD)).values()
    assert peer.apis[0].control


def test_what_an_api_lacks_is_declared(tmp_path: Path) -> None:
    lacks = 'rooms = "it has none"\n"drop code, drop reason" = "no such argument"'
    text = f"{GOOD}\n[api.lacks]\n{lacks}"
    (peer,) = load_peers(write(tmp_path, text)).values()
    assert peer.apis[0].lacks == {
        "rooms": "it has none",
        "drop code": "no such argument",
        "drop reason": "no such argument",
    }


@pytest.mark.parametrize("id", ["a/S", "dart-0.3@0.3.0/ZapSubscriber"])
def test_an_id_can_be_read_back(id: str) -> None:
    assert Api.parse(id, "server").id == id


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('language = "', 'tongue = "'), "'language' must be a non-empty string"),
        (("language", "languages"), r"unknown key 'languages' \(did you mean 'language'\?\)"),
        (("runtime =", "runtme ="), r"unknown key 'runtme' \(did you mean 'runtime'\?\)"),
        (("role =", "rloe ="), r"unknown key 'rloe' in \[\[api\]\] 1 \(did you mean 'role'\?\)"),
        (
            ('runtime = "here"', 'runtime = "cloud"'),
            "runtime must be one of here, venv, dart, node, go",
        ),
        (('module = "m"', 'script = "m"'), "'module' must be"),
        (('role = "server"', 'role = "both"'), "role must be server or client, not 'both'"),
        (('name = "S"', 'name = ""'), "'name' must be a non-empty string"),
        (('name = "S"', 'name = "S"\ncolour = "red"'), "unknown key 'colour' in api 'S'"),
        (("language =", "colour = 1\nlanguage ="), "unknown key 'colour'"),
        (("language =", "control = 1\nlanguage ="), "'control' must be true or false, not 1"),
        (('name = "S"', 'name = "S"\nlacks = ["clean"]'), "'lacks' must be a table.*'clean'"),
        (('name = "S"', 'name = "S"\nlacks.clean = ""'), "'lacks' must be a table of reasons"),
        (('name = "S"', 'name = "S"\nlacks.claen = "x"'), "not 'claen' .did you mean 'clean'.*"),
        (('name = "S"', 'name = "S"\nlacks.colours = "x"'), "'lacks' must be .*, not 'colours'$"),
        (('name = "S"', 'name = "S"\nlacks."close code reason" = "x"'), "'lacks' must be"),
        (
            ('name = "S"', 'name = "S"\nlacks = {ask = "x", "clean, ask" = "y"}'),
            "'lacks' must be .*, not 'ask' twice",
        ),
        (("[[api]]", "[api]"), r"at least one \[\[api\]\]"),
        (("language =", "language"), "peer.toml: "),
        (("runtime =", "colour = 1\nruntime ="), "unknown key 'colour'"),
    ],
)
def test_a_bad_peer_file_is_named(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    directory = write(tmp_path, GOOD.replace(*change))
    with pytest.raises(CatalogError, match=says) as caught:
        load_peers(directory)
    assert str(tmp_path) in str(caught.value)
