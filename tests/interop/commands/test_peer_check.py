from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from interop.catalog import PEERS_DIR
from interop.cli import main

OUTSIDE = Path(__file__).parents[1] / "outside"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return a folder of two peers: the skeleton as a newcomer copies it, and a whole client."""
    shutil.copytree(PEERS_DIR / "_skeleton", tmp_path / "mine")
    shutil.copytree(OUTSIDE, tmp_path / "websocket-client")
    return tmp_path


def test_the_skeleton_is_told_what_to_do_next(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["peer-check", str(theirs / "mine")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("ready for the matrix: 10 of ")
    assert " checks of mine hold, 1 is about what it lacks, " in out[0]
    assert out[1] == "next: client mine/Client open: Client is not written yet"
    assert " .. these wait for open: contract.received, " in "\n".join(out)


def test_a_new_peer_is_written_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ours" / "our-client"
    assert main(["peer-check", "--new", str(folder), "--check", "describe"]) == 0
    assert "checks of our-client hold" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == ["__main__.py", "peer.toml"]
    program = (folder / "__main__.py").read_text("utf-8")
    assert '"peer": "our-client"' in program
    (folder / "__main__.py").write_text("mine", "utf-8")
    assert main(["peer-check", "--new", str(folder)]) == 2
    assert "our-client: File exists" in capsys.readouterr().err
    assert (folder / "__main__.py").read_text("utf-8") == "mine"


@pytest.mark.parametrize(
    ("name", "words"),
    [("node", "there is a peer 'node' already"), ("our client", "cannot be a peer's name")],
)
def test_a_new_peer_needs_a_name_of_its_own(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["peer-check", "--new", str(tmp_path / name)]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_each_peer_of_a_folder_is_told_of_in_one_json(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = theirs / "websocket-client" / "peer.toml"
    declared = toml.read_text("utf-8")
    toml.write_text(declared.replace('"open deflate"', '"open headers, open deflate"'), "utf-8")
    chosen = ["--check", "open deflate", "--check", "open headers", "--check", "order"]
    assert main(["peer-check", "--json", *chosen, str(theirs)]) == 1
    mine, client = json.loads(capsys.readouterr().out)
    assert (mine["peer"], mine["ready"]) == ("mine", True)
    assert {each["status"] for each in mine["checks"] if each["api"]} == {"lacks", "waits"}
    assert (client["peer"], client["ready"]) == ("websocket-client", False)
    assert client["verdict"].startswith("not yet: 1 of 8 checks of websocket-client does not hold")
    found = {each["name"]: each for each in client["checks"]}
    assert (found["order"]["status"], found["open deflate"]["status"]) == ("holds", "lacks")
    assert "is declared to lack open headers, but it works" in found["open headers"]["words"]
    assert found["order"]["section"] == "docs/peer-contract.md#requests-and-replies"
    assert (found["order"]["role"], found["order"]["api"]) == (
        "client", "websocket-client/WebSocket",
    )  # fmt: skip


def test_a_program_may_lack_anything(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = [sys.executable, str(theirs / "websocket-client" / "peer.py")]
    assert main(["peer-check", "--check", "open deflate", *program]) == 0
    out = capsys.readouterr().out
    assert "checks of peer.py hold, 1 is about what it lacks" in out
    assert "-- open deflate: " in out


@pytest.mark.parametrize("options", [["--check", "ready"], ["--json", "--check=ready"]])
def test_options_may_come_after_a_folder_and_a_peer(
    options: list[str], theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for peer in (str(theirs / "websocket-client"), "python", "python/ZapServer"):
        assert main(["peer-check", peer, *options]) == 0
        after = capsys.readouterr().out
        assert main(["peer-check", *options, peer]) == 0
        assert capsys.readouterr().out == after != ""


def test_after_two_dashes_a_name_is_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["peer-check", "--start", "5", "--", "node", "--version"]) in (1, 2)
    assert "is no option" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["node", "--chekc", "x"], "'--chekc' after 'node' is no option of peer-check; "),
        (["node", "--patience", "x"], "'x' is not a number of seconds"),
        (["nodes"], "'nodes' is no peer, no folder and no program (did you mean 'node'?)"),
        (["python/Zap"], "python/Zap is not here: python/ZapServer, "),
        (["pypi@9"], "pypi@9 is not here: "),
        (["/", "x"], "'/' is a folder, which takes no 'x'"),
        ([__file__], "test_peer_check.py' is not an executable file"),
        (["--check", "no-such", "node"], "--check 'no-such' names no check"),
    ],
)
def test_what_cannot_be_checked_is_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["peer-check", *arguments]) == 2
    assert words in capsys.readouterr().err
