from __future__ import annotations

from pathlib import Path

import pytest

from interop.catalog import Api, CatalogError, load_peers, select

CONSUMER = Api("dart", "client", "ZapConsumer", "0.5.0")
SUBSCRIBER = Api("dart-0.3", "client", "ZapSubscriber", "0.3.0")
SERVER = Api("python", "server", "ZapServer")
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


def test_patterns_add_up_without_repeating() -> None:
    assert select(ALL, "client", ["dart", "*Consumer"]) == [CONSUMER]


@pytest.mark.parametrize("pattern", ["drat", "python", "dart@0.4.0", "ZapConsumer"])
def test_a_pattern_that_chooses_nothing_says_what_there_is(pattern: str) -> None:
    with pytest.raises(CatalogError, match=r"names no client; there are: dart@0\.5\.0/ZapConsumer"):
        select(ALL, "client", [pattern])


GOOD = 'language = "C"\nruntime = "here"\nmodule = "m"\n[[api]]\nrole = "server"\nname = "S"\n'


def write(directory: Path, text: str) -> Path:
    folder = directory / "mine"
    folder.mkdir()
    (folder / "peer.toml").write_text(text, "utf-8")
    return directory


def test_a_peer_is_named_by_its_folder(tmp_path: Path) -> None:
    (peer,) = load_peers(write(tmp_path, GOOD)).values()
    assert (peer.name, peer.program, peer.apis[0].id) == ("mine", "m", "mine/S")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("language", "languages"), "'language' must be a non-empty string"),
        (
            ('runtime = "here"', 'runtime = "cloud"'),
            "runtime must be one of here, venv, dart, node",
        ),
        (('module = "m"', 'script = "m"'), "'module' must be"),
        (('role = "server"', 'role = "both"'), "role must be server or client, not 'both'"),
        (('name = "S"', 'name = ""'), "'name' must be a non-empty string"),
        (('name = "S"', 'name = "S"\ncolour = "red"'), "unknown key 'colour' in api 'S'"),
        (("[[api]]", "[api]"), r"at least one \[\[api\]\]"),
        (("language =", "language"), "peer.toml: "),
    ],
)
def test_a_bad_peer_file_is_named(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    directory = write(tmp_path, GOOD.replace(*change))
    with pytest.raises(CatalogError, match=says) as caught:
        load_peers(directory)
    assert str(tmp_path) in str(caught.value)
