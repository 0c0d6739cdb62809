from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from interop.check_client.check import ClientCheck
from interop.cli import main
from interop.reports.results import Results, read
from interop.run.runner import Bound, load_functions
from tests.support.ports import free_port

from ..check_client.odd_client import Client
from ..check_client.programs import odd
from ..strays import strays

ROOT = Path(__file__).parents[3]

PINGS = ["--scenario", "frames.ping.*"]


@pytest.fixture(scope="module")
def whole() -> dict[str, Bound]:
    return load_functions(60)


@pytest.fixture(autouse=True)
def _loaded_once(whole: dict[str, Bound], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interop.commands.check_client.load_functions", lambda timeout: whole)


def test_a_report_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    program = odd("good")
    assert main(["check-client", "--echo", "echo", *PINGS, "--", *program]) == 0
    out = capsys.readouterr().out
    assert re.match(r".*odd_client good: works: 3 scenarios\n\n  frames: 3 passed\n", out)
    assert re.search(r"\n3 scenarios in [\d.]+ s: 3 passed - exit status 0\n$", out)


def test_the_program_of_the_docs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    page = (ROOT / "docs" / "checking-a-client.md").read_text("utf-8")
    (program,) = re.findall(r"^```py\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "client.py").write_text(program, "utf-8")
    chosen = ["--scenario", "form.client.*", "--scenario", "malformed.client-unheard.no-name"]
    command = [sys.executable, "-W", "error", str(tmp_path / "client.py")]
    assert main(["check-client", *chosen, "--echo", "echo", "--", *command]) == 0
    assert re.search(r"works: \d scenarios\n", capsys.readouterr().out)


def test_what_is_known_of_its_library_is_not_held_against_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Dart's sockets take the bit of compressed messages where none was agreed on."""
    program = ["--scenario", "frames.reserved-bit.rsv1", "--patience", "0.5", "--", *odd("lenient")]
    known = ["--echo", "echo", "--uses", "dart@0.5.0/ZapConsumer"]
    assert main(["check-client", *known, *program]) == 0
    assert "works: 1 scenario, 1 known deviation\n" in capsys.readouterr().out
    assert main(["check-client", "--uses", "other", *program]) == 2
    assert "--uses 'other'" in capsys.readouterr().err


def test_what_does_not_hold_with_what_the_program_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--patience", "0.5", "--echo", "echo", "--json", str(tmp_path / "found.json")]
    chosen = ["--scenario", "malformed.to-client.no-name"]
    program = odd("dies-of-malformed")
    assert main(["check-client", *chosen, *given, "--", *program]) == 1
    out = capsys.readouterr().out
    assert "odd_client dies-of-malformed: broken: 1 of 1 musts failed: malformed" in out
    assert "the client wrote no close frame; it ended TCP; the program ended with status 1\n" in out
    assert "   it printed: KeyError: 'eventName'\n" in out
    again = next(line for line in out.splitlines() if line.startswith("   again: "))
    assert again == (
        "   again: python -m interop check-client --scenario malformed.to-client.no-name "
        f"--echo echo --patience 0.5 -- {' '.join(program)}"
    )
    (cell,) = read(tmp_path / "found.json")
    assert cell.printed[-1] == "KeyError: 'eventName'"


@pytest.mark.parametrize(
    ("mode", "words", "printed"),
    [
        ("ends", r"ended with status 1 and did not connect to ws://\S+\n", "I am broken"),
        ("mute", r"it connects, and writes no WebSocket handshake: the client wrote no", ""),
        (
            "no-pong",
            r"it answers no ping: the client wrote no pong frame within 0\.5 s",
            "connected",
        ),
        ("floods", r"the client writes without end: over 10000 frames or 16777216 bytes", "conn"),
    ],
)
def test_a_program_that_cannot_be_checked_is_status_2(
    mode: str,
    words: str,
    printed: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("interop.roles.judged.SETUP_PATIENCE", 0.5)
    times = ["--patience", "0.5" if mode != "floods" else "20"]
    assert main(["check-client", *PINGS, *times, "--", *odd(mode)]) == 2
    out = capsys.readouterr().out
    assert re.search(f"odd_client {mode}: could not be checked: .*{words}", out)
    assert (f"it printed:\n   {printed}" if printed else "it printed nothing") in out


def test_a_program_that_never_connects_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    program = ["sh", "-c", "echo not today; exec sleep 60"]
    assert main(["check-client", *PINGS, "--connect-within", "1", "--", *program]) == 2
    out = capsys.readouterr().out
    assert re.search(r"the program did not connect to ws://127\.0\.0\.1:\d+/ws within 1 s\n", out)
    assert out.endswith("it printed:\n   not today\n")


def test_an_event_that_is_not_answered_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--patience", "0.3", "--echo", "nobody"]
    assert main(["check-client", *PINGS, *given, "--", *odd("good")]) == 2
    assert "it does not answer --echo 'nobody' with the same payload: no echo of" in (
        capsys.readouterr().out
    )


def test_an_interrupt_ends_the_programs_and_keeps_what_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, begun = ClientCheck.run, list[str]()

    async def interrupted(
        self: ClientCheck, scenarios: Mapping[str, Bound], progress: Callable[[str], None]
    ) -> Results:
        def begins(name: str) -> None:
            progress(name)
            begun.append(name)
            if len(begun) == 2:
                assert strays(tmp_path) == []  # each scenario's program ended with it
                asyncio.get_running_loop().call_later(0.3, os.kill, os.getpid(), signal.SIGINT)

        return await run(self, scenarios, begins)

    monkeypatch.setattr(ClientCheck, "run", interrupted)
    chosen = ["--scenario", "frames.ping.0", "--scenario", "time.idle-without-pings"]
    given = ["--at-once", "1", "--results", str(tmp_path)]
    assert main(["check-client", *chosen, *given, "--", *odd("family", str(tmp_path))]) == 2
    while strays(tmp_path):
        time.sleep(0.01)
    assert [cell.scenario for cell in read(tmp_path)] == ["frames.ping.0"]
    assert (
        "could not be checked: interrupted; 1 of 2 scenarios were done" in capsys.readouterr().out
    )


def app(url: str, stop: threading.Event, most: int = 1000) -> None:
    """Connect again and again, as an app does, and at most so often."""
    os.environ["ZAPTOOLS_URL"] = url
    while most and not stop.wait(0.02):
        with suppress(OSError, SystemExit):
            client = Client("good")
            most -= 1
            with client.socket:
                client.run()


def test_an_app_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, stop = free_port(), threading.Event()
    monkeypatch.setenv("ZAPTOOLS_URL", "")
    thread = threading.Thread(target=app, args=(f"ws://127.0.0.1:{port}/mine", stop))
    thread.start()
    try:
        chosen = [*PINGS, "--scenario", "request.form"]
        assert main(["check-client", *chosen, "--echo", "echo", "--listen", str(port)]) == 0
    finally:
        stop.set()
        thread.join()
    out = capsys.readouterr().out
    assert out.startswith(f"waiting for the app at ws://127.0.0.1:{port}/ws\n")
    assert f"   from an Android emulator: ws://10.0.2.2:{port}/ws\n" in out
    assert f"the app at port {port}: works: 4 scenarios\n" in out


def test_an_app_that_stays_away_has_broken_no_rule(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interop.commands.check_client.load_functions", load_functions)
    port, stop = free_port(), threading.Event()
    monkeypatch.setenv("ZAPTOOLS_URL", "")
    thread = threading.Thread(target=app, args=(f"ws://127.0.0.1:{port}/mine", stop, 2))
    thread.start()
    try:
        given = ["--timeout", "1", "--listen", str(port)]
        assert main(["check-client", *PINGS, *given]) == 2
    finally:
        stop.set()
        thread.join()
    out = capsys.readouterr().out
    assert "could not be checked: before frames.ping." in out
    assert "the app was away: no connection for 1 s" in out
    assert "3 scenarios" not in out


def test_an_app_that_does_not_come(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert main(["check-client", *PINGS, "--listen", f"0.0.0.0:{port}", "--within", "0.2"]) == 2
    out = capsys.readouterr().out
    assert f"could not be checked: no app connected to port {port} within 0.2 s\n" in out


def test_a_check_that_takes_too_long_keeps_what_was_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--at-once", "1", "--within", "0.001"]
    assert main(["check-client", *PINGS, *given, "--", *odd("good")]) == 2
    assert "could not be checked: not done within 0.001 s (--within gives it longer)" in (
        capsys.readouterr().out
    )


def test_over_tls(capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import os, websocket; websocket.WebSocketApp(os.environ['ZAPTOOLS_URL'])"
        ".run_forever(sslopt={'ca_certs': os.environ['ZAPTOOLS_CA']})"
    )
    chosen = ["--tls", "--scenario", "frames.ping.1"]
    assert main(["check-client", *chosen, "--", sys.executable, "-c", program]) == 0
    assert "works: 1 scenario\n" in capsys.readouterr().out


def test_what_is_known_is_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = tmp_path / "ours.toml"
    known.write_text(
        '[[deviation]]\nscenario = "frames.close-empty"\nseen = "no close"\ncause = "old"\n'
    )
    given = ["--scenario", "frames.close-empty", "--patience", "0.3", "--known", str(known)]
    assert main(["check-client", *given, "--", *odd("no-close")]) == 0
    out = capsys.readouterr().out
    assert "works: 1 scenario, 1 known deviation\n" in out
    assert "known: ours.toml (client): old (frames.close-empty)\n" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the client: either its COMMAND behind a --, or --listen"),
        (["--listen", "1", "--", "x"], "name the client: either"),
        (["--scenario", "nope", "--", "x"], "--scenario 'nope' names no scenario"),
        (["--scenario", "handshake.*", "--", "x"], "none of these can be run: "),
        (["--scenario", "form.client.*", "--", "x"], "name it with --echo EVENT"),
        (["--scenario", "reconnect.by-itself.*", "--", "x"], "say so with --reconnects"),
        (["--scenario", "request.target.*", "--listen", "1"], "which only a COMMAND is given"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-client", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("interop: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err


@pytest.mark.parametrize("value", ["x", "h:x", "h:0", "70000"])
def test_an_address_of_no_use_is_a_usage_error(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check-client", "--listen", value])
    assert caught.value.code == 2
    assert "argument --listen" in capsys.readouterr().err
