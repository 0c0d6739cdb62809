from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import pytest

from interop.check.check import Check, Checked
from interop.check.remote import Remote
from interop.cli import main
from interop.reports.results import load, read
from interop.run.runner import Bound
from interop.wire.frames import PING, PONG, TEXT, FrameReader, frame
from interop.wire.http import answer, parse_head
from tests.support import tls

from .. import servers
from ..pages import elements


@pytest.fixture(autouse=True)
def _short_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted servers answer no close frame."""
    monkeypatch.setattr("interop.check.remote.FAREWELL_TIMEOUT", 0.05)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with servers.background(servers.app) as found:
        yield found


def test_a_report_in_words(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", url, "--scenario", "frames.[pl][ie]ng*.*"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{url}: works: 3 scenarios\n\n  frames: 3 passed\n")
    assert "not judged: 8 scenarios that need an event that the server echoes: name it" in out
    assert "3 scenarios in " in out
    assert out.endswith("3 passed - exit status 0\n")


def test_a_path_that_looks_like_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with servers.background(servers.scripted) as url:
        assert main(["check", f"{url}[/b]", "--scenario", "frames.ping.1"]) == 1
    assert "[/b]: " in capsys.readouterr().out


def test_with_an_echo(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", url, "--scenario", "frames.length.*", "--echo", "echo"]) == 0
    assert "frames: 8 passed\n" in capsys.readouterr().out


def test_over_tls(capsys: pytest.CaptureFixture[str]) -> None:
    with servers.background(partial(servers.app, secure=True)) as url:
        chosen = ["--scenario", "frames.ping*"]
        assert main(["check", url, *chosen, "--ca", str(tls.PEM)]) == 0
        assert main(["check", url, *chosen, "--insecure"]) == 0
        assert main(["check", url, *chosen]) == 2
    assert "could not be checked: its certificate is not trusted" in capsys.readouterr().out


def test_what_does_not_hold_and_its_frames(capsys: pytest.CaptureFixture[str]) -> None:
    with servers.background(partial(servers.scripted, None, b"\x81\x015" * 9)) as url:
        chosen = ["--scenario", "frames.ping.1", "--scenario", "frames.illegal-close-code.999"]
        assert main(["check", url, *chosen, "--patience", "0.1"]) == 1
    out = capsys.readouterr().out
    assert out.startswith(
        f"{url}: broken: 1 of 1 musts failed: "
        "frames.ping.1: the server wrote not an object but a number in frame 1\n"
        "\nmust: 1 scenario\n"
    )
    assert "\nshould: 1 scenario\n   frames.illegal-close-code.999: " in out
    assert "  frames: 1 warned, 1 failed\n" in out
    assert "   frames.ping.1: A ping is answered by a pong with the same payload.\n" in out
    assert "   the server wrote no pong frame within 0.1 s" in out
    assert "   rule W-1: " in out
    assert "      judge -> ping '\\\\xff'\n      server -> text '5'\n" in out
    assert "      and 2 more frames\n" in out
    assert "1 warned, 1 failed - exit status 1" in out


def test_strict_makes_a_should_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with servers.background(servers.scripted) as url:
        chosen = ["--scenario", "frames.illegal-close-code.999", "--patience", "0.1"]
        assert main(["check", url, *chosen]) == 0
        assert "works: 1 scenario, 1 should failed\n\nshould: 1 scenario\n" in (
            capsys.readouterr().out
        )
        assert main(["check", url, *chosen, "--strict"]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"{url}: broken: 1 of 1 rules failed: frames.illegal-close-code.999: ")
    assert "\nshould (strict): 1 scenario\n" in out
    assert " --strict --patience 0.1 --scenario 'frames.illegal" in out


def test_a_server_that_goes_away(capsys: pytest.CaptureFixture[str]) -> None:
    with servers.background(partial(servers.scripted, times=3)) as url:
        chosen = ["--scenario", "frames.ping.*"]
        assert main(["check", url, *chosen, "--patience", "0.1"]) == 2
    out = capsys.readouterr().out
    assert out.startswith(f"{url}: could not be checked: after frames.ping.0, which may have ended")
    assert "; 1 of 1 musts failed: frames.ping.0: the server wrote no pong" in out
    assert " - exit status 2\n" in out


def test_results_like_those_of_a_run(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--scenario", "frames.ping.*", "--results", str(tmp_path)]
    assert main(["check", f"{url}?key=qwertz", *chosen, "--header", "X-Key: geheim"]) == 0
    assert {(c.server, c.client, c.verdict) for c in read(tmp_path)} == {
        (url, "judge/Raw", "passed")
    }
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 4
    written += "".join(elements((tmp_path / "report.html").read_text()).values())
    assert "frames.ping" in written
    for secret in ("qwertz", "geheim"):
        assert secret not in written + capsys.readouterr().out


def tells_all() -> AbstractAsyncContextManager[str]:
    """A server that writes what it was asked with into each connection, in several forms."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = parse_head(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer(asked))
        told = [asked.target, unquote(asked.target), *(value for _, value in asked.headers)]
        told += [base64.b64decode("bWU6cGFzc3dvcnQ=").decode(), "langes-geheimnis-oh", "passwort"]
        for text in told:
            writer.write(frame(TEXT, json.dumps({"eventName": "told", "payload": text}).encode()))
        frames = FrameReader("client")
        while data := await reader.read(65536):
            for found in frames.feed(data):
                if (found.opcode, found.payload) == (PING, b"still there?"):
                    writer.write(frame(PONG, found.payload))

    return servers.served(handle)


SECRETS = ["qwe/rtz", "qwe%2Frtz", "passwort", "bWU6cGFzc", "keks", 'so \\"', 'so "', "langes-geh"]


def test_no_file_holds_a_secret_that_a_server_gives_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "qwe/rtz")
    (tmp_path / "headers").write_text("X-Long: langes-geheimnis-ohne-ende\n")
    out = tmp_path / "out"
    out.mkdir()
    given = [
        *("--header", "Authorization: Basic bWU6cGFzc3dvcnQ=", "--header", "Cookie: a=keks"),
        *("--header", 'X-Odd: so "und"', "--header-file", str(tmp_path / "headers")),
        *("--scenario", "frames.ping.1", "--patience", "0.2", "--format", "github"),
        *("--junit", str(out / "j.xml"), "--json", str(out / "r.json")),
        *("--report", str(out / "p.html"), "--results", str(out / "all")),
    ]
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(out / "step.md"))
    with servers.background(tells_all) as url:
        assert main(["check", url + "?token=${TOKEN}", *given]) == 1
    written = {path.name: path.read_text() for path in out.rglob("*.*")}
    assert len(written) == 8
    written["the terminal"] = capsys.readouterr().out
    for name in ("p.html", "report.html"):
        written[name] += "".join(elements(written[name]).values())
    for name, text in written.items():
        assert "pong" in text
        assert [secret for secret in SECRETS if secret in text] == [], name
    assert "told" in written["r.json"]
    assert "?token=${TOKEN}" in written["the terminal"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_check_writes_what_it_found(
    number: signal.Signals,
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: list[str] = []
    run = Check.run

    async def interrupted(
        self: Check, scenarios: Mapping[str, Bound], progress: Callable[[str], None]
    ) -> Checked:
        def begins(name: str) -> None:
            progress(name)
            names.append(name)
            if len(names) == 3:
                os.kill(os.getpid(), number)

        return await run(self, scenarios, begins)

    monkeypatch.setattr(Check, "run", interrupted)
    chosen = ["--scenario", "frames.ping.*", "--results", str(tmp_path)]
    assert main(["check", url, *chosen]) == 2
    assert [c.scenario for c in read(tmp_path)] == names[:2]
    assert (tmp_path / "summary.md").exists()
    out = capsys.readouterr().out
    assert out.startswith(f"{url}: could not be checked: interrupted; 2 of 3 scenarios were done\n")
    assert "2 passed - exit status 2" in out


def test_a_check_that_is_interrupted_before_it_began_is_130(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(self: Remote) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0)

    monkeypatch.setattr(Remote, "check_reachable", interrupted)
    assert main(["check", url]) == 130


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["http://h/ws"], "did you mean ws://?"),
        (["URL", "--scenario", "nope"], "--scenario 'nope' names no scenario"),
        (["URL", "--scenario", "frame"], "(did you mean 'frames.*'?)"),
        (["URL", "--scenario", "echo.null"],
         "none of these can be run: 1 run between a server and a client"),
        (["URL", "--scenario", "handshake.*", "--scenario", "rooms.*"],
         "--scenario 'rooms.*': none of these can be run: "),
        (["URL", "--header", "x"], "--header number 1 is not of the form"),
        (["URL", "--results", "/dev/null/x"], "--results /dev/null/x: /dev/null is not a folder"),
        (["URL", "--junit", "/nope/x.xml"], "--junit /nope/x.xml: there is no folder '/nope'"),
        (["URL", "--json", "/dev"], "--json /dev: that is a folder; name a file in it"),
        (["URL", "--json", "/tmp/x", "--report", "/tmp/x"],
         "--json and --report name the same file: /tmp/x"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_status_2(
    arguments: list[str], words: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *(url if a == "URL" else a for a in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("interop: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert captured.out == ""


def test_a_variable_without_braces_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKEN", "geheim")
    given = ["--header", "A: Bearer $TOKEN", "--header", "B: ${TOKEN}", "--header", "C: pa$word"]
    assert main(["check", "ws://127.0.0.1:1/ws", *given]) == 2
    said = "interop: note: $TOKEN is sent as it is; ${TOKEN} is the variable's value\n"
    assert capsys.readouterr().err == said


def test_no_server_there_is_a_verdict_in_each_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "ws://127.0.0.1:1/ws"
    why = "no connection to 127.0.0.1 port 1: Connection refused"
    names = {"json": "r.json", "junit": "j.xml", "report": "p.html"}
    files = [word for o, name in names.items() for word in (f"--{o}", str(tmp_path / name))]
    assert main(["check", url, *files]) == 2
    captured = capsys.readouterr()
    written = ", ".join(str(tmp_path / name) for name in names.values())
    said = f"{url}: could not be checked: {why}\nwritten: {written}\n"
    assert (captured.out, captured.err) == (said, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names.values())
    assert all(why in (tmp_path / name).read_text() for name in names.values())
    assert load(tmp_path / "r.json").run.broken == why


def test_what_other_commands_make_of_its_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where, known = tmp_path / "made", tmp_path / "ours.toml"
    with servers.background(servers.scripted) as url:
        given = ["check", url, "--scenario", "frames.ping.1", "--patience", "0.2"]
        assert main([*given, "--results", str(where), "--format", "github"]) == 1
        out = capsys.readouterr().out
        assert f"\nwritten: {where} (results.json, summary.md, junit.xml, report.html)\n" in out
        assert f"::error title={url.replace(':', '%3A')}%3A frames.ping.1::" in out
        summary = (where / "summary.md").read_text()
        assert "## What fails\n" in summary and "Known deviations" not in summary
        assert main(["deviations", "--suggest", str(where)]) == 0
        known.write_text(capsys.readouterr().out.replace('cause = ""', 'cause = "no pongs"'))
        assert main([*given, "--known", str(known)]) == 0
        assert "1 deviating" in capsys.readouterr().out
    assert main(["explain", url, "judge", "--results", str(where)]) == 2
    assert "one side alone was checked" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["x", "0", "nan", "3601"])
def test_a_time_of_no_use_is_a_usage_error(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", "ws://h", "--patience", value])
    assert caught.value.code == 2
    assert "argument --patience" in capsys.readouterr().err


def test_the_command_to_run_again_has_all_that_was_given_but_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "ours.toml"
    known.write_text('[[deviation]]\nscenario = "frames.ping.0"\nseen = "x"\ncause = "y"\n')
    given = [
        *("--header", "X-Key: geheim", "--subprotocol", "a", "--patience", "0.2"),
        *("--rate", "500", "--known", str(known), "--framework", "none", "--timeout", "9"),
    ]
    with servers.background(servers.scripted) as url:
        target = f"{url}?key=qwertz"
        assert main(["check", target, "--scenario", "frames.ping.1", *given]) == 1
    again = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("   again: ")
    )
    assert again == (
        f"   again: python -m interop check '{url}?…' --header 'X-Key: …' --subprotocol a"
        f" --rate 500 --known {known} --framework none --timeout 9 --patience 0.2"
        " --scenario 'frames.ping.1'"
    )


def test_a_framework_of_which_nothing_is_known_is_status_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with servers.background(servers.app) as url:
        assert main(["check", url, "--framework", "flask"]) == 2
    assert "--framework 'flask': what is known is of aiohttp, dart-io, sanic, uvicorn, or none" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("value", ["x", "0", "-1", "nan", "1001"])
def test_a_rate_of_no_use_is_a_usage_error(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", "ws://h", "--rate", value])
    assert caught.value.code == 2
    assert "argument --rate" in capsys.readouterr().err


def test_what_is_known_is_shown_with_its_cause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "ours.toml"
    known.write_text(
        '[[deviation]]\nscenario = "frames.ping.1"\nseen = "no pong frame"\ncause = "late"\n'
    )
    chosen = ["--scenario", "frames.ping.1", "--patience", "0.1", "--known", str(known)]
    with servers.background(servers.scripted) as url:
        assert main(["check", url, *chosen]) == 0
    out = capsys.readouterr().out
    assert "  frames: 1 deviating\n" in out
    assert "known: ours.toml (server): late (frames.ping.1)\n" in out
    assert out.startswith(f"{url}: works: 1 scenario, 1 known deviation\n")
    assert "1 deviating - exit status 0" in out
