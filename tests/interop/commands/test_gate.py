from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from interop.cli import main
from interop.errors import CannotRun, Violation
from interop.reports.results import load
from interop.roles.client import Client
from interop.run.runner import load_catalogue
from interop.runtimes.prepare import Preparer
from interop.wire.frames import CLOSE, close_payload, frame
from interop.wire.http import answer, parse_head
from tests.support import tls
from tests.support.app import App

from .. import servers
from ..gate.odd import odd, sound

OLD = "dart-0.3@0.3.0/ZapConsumer"
TWO = ["--clients", OLD, "--clients", "dart@0.5.0"]
RECORDS = ["--no-real", "--listen", "0.1", "--patience", "1"]
NO_HEADERS = '{"eventName":"price","payload":{"eur":1}}'


@pytest.fixture(autouse=True, scope="module")
def _collected_once() -> Iterator[None]:
    """The scenarios are collected by pytest, within pytest."""
    whole = load_catalogue()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interop.commands.gate.load_catalogue", lambda: whole)
        yield


def gate(url: str, *more: str) -> int:
    return main(["gate", "--server", url, *TWO, *RECORDS, *more])


def test_a_good_server_may_be_deployed(capsys: pytest.CaptureFixture[str]) -> None:
    with servers.background(servers.app) as url:
        assert gate(url, "--echo", "echo") == 0
    out = capsys.readouterr().out
    assert out.startswith(
        f"Deploy: {url} works with dart ZapConsumer 0.3.0 to 0.5.0, as far as can be seen. "
        "Of 2 versions, 2 judged from records alone.\n"
    )
    assert f"{OLD}: works (67 texts played, 61 echoed; not run (--no-real), judged fr" in out


def test_headers_that_are_omitted_break_old_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @asynccontextmanager
    async def omitting() -> Any:
        async with App(omit_empty_headers=True) as running:
            yield running.url()

    files = ["--json", str(tmp_path / "gate.json"), "--junit", str(tmp_path / "junit.xml")]
    with servers.background(omitting) as url:
        assert gate(url, "--echo", "echo", *files) == 1
    out = capsys.readouterr().out
    assert out.startswith(
        f"Do not deploy: {url} breaks dart ZapConsumer 0.3.0. It sends `echo` without headers "
        '(frame: {"eventName":"echo","payload":[]}): the app gets no event, and an exception '
        "escapes (Exception: headers key not found). The others work (dart ZapConsumer 0.5.0). "
    )
    assert 'change: write "headers":{} with every event' in out
    found = load(tmp_path / "gate.json")
    assert found.run.answer in out
    cells = {(cell.client, cell.scenario): cell.verdict for cell in found.cells}
    assert cells[OLD, "gate.reads.headers-absent.echo"] == "failed"
    assert cells[OLD, "gate.writes"] == "passed"
    assert cells["dart@0.5.0/ZapConsumer", "gate.reads"] == "passed"
    assert 'failures="1"' in (tmp_path / "junit.xml").read_text()


def test_pushes_and_answers_are_judged_and_what_broke_already_is_not_held_against_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tmp_path / "events.jsonl"
    asked.write_text('{"eventName":"quote","payload":"EUR"}\n\n{"eventName":"quiet"}\n')

    def respond(event: dict[str, Any]) -> str | None:
        null = '{"eventName":"quote","payload":null,"headers":{}}'
        return null if event["eventName"] == "quote" else sound(event)

    before = tmp_path / "before.json"
    with servers.background(partial(odd, pushes=[NO_HEADERS])) as url:
        assert gate(url, "--json", str(before)) == 1
        assert gate(url, "--baseline", str(before)) == 0
        out = capsys.readouterr().out
        assert f"Deploy: {url} works with dart ZapConsumer 0.5.0, as far as can be seen. " in out
        assert "Broken already, as in the baseline: dart ZapConsumer 0.3.0. " in out
        assert f"{OLD}: broken already (67 texts played; " in out
    with servers.background(partial(odd, respond, pushes=[NO_HEADERS])) as url:
        assert gate(url, "--baseline", str(before), "--ask", str(asked), "--patience", "0.3") == 1
    out = capsys.readouterr().out
    assert "It sends `quote` with a payload that is null (frame: " in out
    assert "`price`" not in out.partition("Broken already")[0]
    assert "no answer to: quiet" in out


def test_an_event_that_is_not_answered_any_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, before, after = (tmp_path / name for name in ("events.jsonl", "old.json", "new.json"))
    asked.write_text('{"eventName":"quote"}\n{"eventName":"bye"}\n')
    price = '{"eventName":"price","payload":1,"headers":{}}'
    lost = {"bye"}

    def respond(event: dict[str, Any]) -> str | None:
        name = event["eventName"]
        return price if name in {"quote", "bye"} - lost else None

    more = ["--ask", str(asked), "--patience", "0.3"]
    with servers.background(partial(odd, respond)) as url:
        assert gate(url, *more, "--json", str(before)) == 0
        words = capsys.readouterr().out.partition("\n")[0]
        assert words.startswith("Deploy: ") and " It did not answer `bye`. " in words
        assert gate(url, *more, "--baseline", str(before)) == 0
        lost.add("quote")
        assert gate(url, *more) == 2
        words = capsys.readouterr().out
        assert "Unknown: it cannot be told: it answered no event of --ask FILE. It did" in words
        files = ["--json", str(after), "--report", str(tmp_path / "report.html")]
        assert gate(url, *more, "--baseline", str(before), *files) == 1
        words = capsys.readouterr().out.partition("\n")[0]
        assert words.startswith("Do not deploy: ") and " It no longer answers `quote`" in words
        assert "It did not answer `bye`. " in words
        assert "It did not answer `bye`. " in (tmp_path / "report.html").read_text()
        assert gate(url, *more, "--baseline", str(after)) == 0


def test_two_gates_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Though they have other cells, and asked servers with other URLs."""
    asked = tmp_path / "events.jsonl"
    asked.write_text('{"eventName":"quote"}\n{"eventName":"bye"}\n')
    price = '{"eventName":"price","payload":1,"headers":{}}'

    def written(name: str, pushes: list[str], answered: set[str]) -> str:
        def respond(event: dict[str, Any]) -> str | None:
            return price if event["eventName"] in answered else None

        with servers.background(partial(odd, respond, pushes=pushes)) as url:
            more = ["--ask", str(asked), "--patience", "0.3", "--json", str(tmp_path / name)]
            gate(url, *more)
        capsys.readouterr()
        return str(tmp_path / name)

    good = written("good", [], {"quote", "bye"})
    bad = written("bad", [NO_HEADERS.replace("price", "news")], {"quote", "bye"})
    mute = written("mute", [], {"bye"})
    assert main(["compare", good, bad]) == 1
    out = capsys.readouterr().out
    assert "newly broken: 1\n   gate.reads.headers-absent.news, ws://127" in out
    assert (
        "no cell -> failed: the server sends `news` without headers: the app gets no event" in out
    )
    assert "not in the new run" not in out
    assert main(["compare", bad, good]) == 0
    assert "newly fixed: 1\n" in capsys.readouterr().out
    assert main(["compare", bad, bad]) == main(["compare", good, good]) == 0
    capsys.readouterr()
    assert main(["compare", good, mute]) == 1
    assert "passed -> failed: it did not answer `quote`" in capsys.readouterr().out
    assert main(["compare", mute, good]) == 0


def test_what_is_pushed_anyway_is_no_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tmp_path / "events.jsonl"
    asked.write_text('{"eventName":"quotes","payload":"EUR"}\n{"eventName":"quote"}\n')

    welcome = '{"eventName":"welcome","payload":"hello","headers":{}}'

    def respond(event: dict[str, Any]) -> str | None:
        if event["eventName"] == "quote":
            return '{"eventName":"quote","payload":1,"headers":{}}'
        return sound(event) or welcome  # also pushed just then

    with servers.background(partial(odd, respond, pushes=[welcome])) as url:
        assert gate(url, "--ask", str(asked), "--patience", "0.3") == 0
    out = capsys.readouterr().out
    assert "answered to --ask: 1 message\n" in out
    assert "no answer to: quotes (only welcome, which it pushes by itself too)\n" in out


def test_what_is_pushed_while_it_listens() -> None:
    # The third connection, behind two to see whether there is a server.
    with servers.background(partial(odd, pushes=[NO_HEADERS], only=3)) as url:
        assert gate(url) == 1
    with servers.background(partial(odd, pushes=[NO_HEADERS], only=99)) as url:
        assert gate(url, "--echo", "echo") == 0


def test_a_server_of_which_nothing_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    with servers.background(odd) as url:
        assert gate(url) == 2
    assert capsys.readouterr().out.startswith(
        "Unknown: it cannot be told: it pushed nothing, and was asked nothing; pass --echo EVENT "
        "or --ask FILE. "
    )


def test_an_event_at_which_the_server_ends_the_connection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tmp_path / "events.jsonl"
    asked.write_text('{"eventName":"quote","payload":"EUR"}\n')

    def respond(event: dict[str, Any]) -> str | int | None:
        return 1008 if event["eventName"] == "quote" else sound(event)

    with servers.background(partial(odd, respond)) as url:
        assert gate(url, "--ask", str(asked)) == 1
    out = capsys.readouterr().out
    assert 'It ends the connection (1008) when it is sent {"eventName":"quote",' in out


def test_what_it_does_not_take_from_them_breaks_them(capsys: pytest.CaptureFixture[str]) -> None:
    def respond(event: dict[str, Any]) -> str | int | None:
        if event["eventName"] == "unregistered":
            return 1003
        return sound({**event, "payload": 7} if event.get("payload") == "" else event)

    with servers.background(partial(odd, respond)) as url:
        assert gate(url, "--echo", "echo") == 1
    out = capsys.readouterr().out
    assert "echoes another value at $: expected a string '', got a number 7 when it is sent" in out
    assert "ends the connection (1003) when it is sent {" in out
    assert "The others work" not in out


def test_a_subprotocol_and_a_compression_that_were_not_offered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    choices = [("Sec-WebSocket-Protocol", "b")]
    with servers.background(partial(odd, extra=choices)) as url:
        assert gate(url) == 1
        assert (
            "chooses the subprotocol 'b', not offered: the client ends" in capsys.readouterr().out
        )
        assert gate(url, "--subprotocol", "b", "--echo", "echo") == 0
    choices = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    with servers.background(partial(odd, extra=choices)) as url:
        assert gate(url, "--echo", "echo") == 0  # Dart offers it
        capsys.readouterr()
        assert main(["gate", "--server", url, "--clients", "node", *RECORDS]) == 1
        assert "chooses the extension 'permessage-deflate', not offered" in capsys.readouterr().out


@asynccontextmanager
async def closing() -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(parse_head(await reader.readuntil(b"\r\n\r\n"))))
        writer.write(frame(CLOSE, close_payload(1008, "upgrade your app")))

    async with servers.served(handle) as url:
        yield url


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (partial(servers.scripted, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
         "answers the handshake with 'HTTP/1.1 400 Bad Request'"),
        (closing, "closes every connection with 1008 'upgrade your app'"),
    ],
)  # fmt: skip
def test_a_server_that_refuses_every_handshake_breaks_all(
    serve: servers.Make, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tmp_path / "before.json"
    with servers.background(serve) as url:
        assert gate(url, "--json", str(before)) == 1
        out = capsys.readouterr().out
        assert out.startswith(
            f"Do not deploy: {url} breaks dart ZapConsumer 0.3.0 to 0.5.0. It {words}: the app is "
            "offline. "
        )
        assert gate(url, "--baseline", str(before)) == 0
        assert main(["gate", url, "--clients", "python/ZapConsumer", "--listen", "0.1"]) == 1
        assert words in capsys.readouterr().out


def test_a_handshake_that_gets_no_answer_breaks_the_version_that_writes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with servers.background(partial(odd, deaf_to=b"Sec-WebSocket-Extensions")) as url:
        assert gate(url) == 1  # Dart offers one
    assert "It does not answer its handshake (" in capsys.readouterr().out


def test_secrets_are_in_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leak = '{"eventName":"price","payload":"geheim"}'
    heads: list[bytes] = []
    with servers.background(partial(odd, pushes=[leak], heads=heads)) as url:
        more = ["--header", "X-Key: geheim", "--results", str(tmp_path), "--format", "github"]
        assert gate(f"{url}?key=qwertz", *more) == 1
    assert all(b"X-Key: geheim\r\n" in head and b"?key=qwertz" in head for head in heads)
    written = capsys.readouterr().out + "".join(p.read_text() for p in tmp_path.iterdir())
    assert "<redacted>" in written
    assert "geheim" not in written and "qwertz" not in written


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--clients", "dart@9*"], "--clients 'dart@9*' names no client"),
        (["--ask", "nowhere"], "--ask nowhere: No such file or directory"),
        (["--baseline", "nowhere"], "nowhere"),
        (["--echo", "nothing"], "--echo 'nothing' is not echoed"),
    ],
)
def test_what_cannot_be_found_out_is_2(
    more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with servers.background(odd) as url:
        assert gate(url, "--patience", "0.2", *more) == 2
    assert words in capsys.readouterr().err


def test_no_server_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("ws://127.0.0.1:1/ws") == 2
    assert "no connection to 127.0.0.1 port 1" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", '{"eventName":5}', ""])
def test_an_event_file_that_is_none(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ask").write_text(text)
    assert gate("ws://127.0.0.1:1/ws", "--ask", str(tmp_path / "ask")) == 2
    assert f"--ask {tmp_path / 'ask'}" in capsys.readouterr().err


def test_a_baseline_of_another_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = {"format": 1, "cells": []}
    (tmp_path / "results.json").write_text(json.dumps(text))
    assert gate("ws://127.0.0.1:1/ws", "--baseline", str(tmp_path)) == 2
    assert "not the results of a gate" in capsys.readouterr().err


# --- Real clients: this repository's, which needs nothing ---------------------------------------

REAL = ["--clients", "python/ZapConsumer", "--listen", "0.1", "--patience", "2"]


def really(url: str, *more: str) -> int:
    return main(["gate", url, *REAL, *more])


def test_a_real_client_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = tmp_path / "events.jsonl"
    asked.write_text('{"eventName":"quote","payload":"EUR"}\n')
    heads: list[bytes] = []

    def respond(event: dict[str, Any]) -> str | None:
        quote = NO_HEADERS.replace("price", "quote")
        return quote if event["eventName"] == "quote" else sound(event)

    with servers.background(partial(odd, respond, pushes=[NO_HEADERS], heads=heads)) as url:
        more = ["--echo", "echo", "--ask", str(asked), "--header", "X-Key: abcd"]
        assert really(url, *more, "--require-real") == 0
    out = capsys.readouterr().out
    assert "works with python ZapConsumer, as far as can be seen. Of 1 version, 1 was run." in out
    assert "run: 65 echoed, 2 pushed" in out
    assert all(b"X-Key: abcd\r\n" in head for head in heads)
    assert {b"Host: " + url.split("/")[2].encode() in head for head in heads} == {True}


@pytest.mark.parametrize("pushed", [False, True])
def test_an_event_at_which_the_testbed_s_client_does_something_of_its_own(
    pushed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such a server is judged from records, where it echoes so and where it sends it by chance."""

    def respond(event: dict[str, Any]) -> str | None:
        if event["eventName"] == "mirrored":
            return None
        if pushed:
            return sound(event)
        return (sound({**event, "eventName": "echo"}) or "").replace('"echo"', '"mirror"', 1)

    # The real client's is the fifth connection, behind reachable twice, listening, and the texts.
    boom = ['{"eventName":"boom","payload":1,"headers":{}}']
    with servers.background(partial(odd, respond, pushes=boom * pushed, only=5)) as url:
        assert really(url, "--echo", "echo" if pushed else "mirror") == 0
    out = capsys.readouterr().out
    name = "boom" if pushed else "mirror"
    assert f"not run (the server sends `{name}`, to which the testbed's own program of a" in out
    assert "Of 1 version, 1 judged from records alone." in out


def test_a_real_client_offers_the_subprotocol(capsys: pytest.CaptureFixture[str]) -> None:
    with servers.background(partial(odd, extra=[("Sec-WebSocket-Protocol", "b")])) as url:
        assert really(url, "--echo", "echo", "--subprotocol", "b") == 0
    assert "run: 65 echoed" in capsys.readouterr().out


def test_what_a_real_client_does_not_get(capsys: pytest.CaptureFixture[str]) -> None:
    pushes = ['{"eventName":"price","payload":NaN,"headers":{}}']
    with servers.background(partial(odd, pushes=pushes)) as url:
        assert really(url, "--echo", "echo") == 1
    out = capsys.readouterr().out
    assert "It sends `price` with NaN or Infinity, which are not JSON (frame: " in out
    assert "65 echoed, 0 pushed, failed: the app gets no event (no handler is called)" in out


def test_a_client_of_another_repository_is_run_over_tls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = Path(__file__).parents[1] / "outside"
    with servers.background(partial(servers.app, secure=True)) as url:
        chosen = ["--clients", "outside", "--peers", str(there), "--ca", str(tls.PEM)]
        chosen += ["--echo", "echo", "--listen", "0.1"]
        assert main(["gate", "--server", url, *chosen]) == 0
        assert "not run" not in (out := capsys.readouterr().out)
        assert "outside" in out and "6 echoed" in out
        assert main(["gate", "--server", url, *chosen, "--no-real"]) == 2
    out = capsys.readouterr().out
    assert out.startswith("Unknown: it cannot be told of outside ")
    assert "nothing is recorded of them, and they were not run" in out


def test_a_server_that_takes_no_client_back(capsys: pytest.CaptureFixture[str]) -> None:
    # The gate's own: reachable twice, listening, the texts; then the real client's two.
    with servers.background(partial(odd, deaf=6)) as url:
        assert really(url, "--echo", "echo") == 1
    out = capsys.readouterr().out
    assert "the server does not take it back after a close" in out
    assert "the app stays offline (" in out


def test_the_answer_is_one_line_also_where_a_library_s_words_are_several(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(self: Client, url: str, *events: str) -> None:
        raise Violation("one\n  two")

    monkeypatch.setattr(Client, "dial", fails)
    with servers.background(odd) as url:
        assert really(url, "--echo", "echo") == 1
    assert "It lets it not connect (one two): the app is offline. Of 1" in capsys.readouterr().out


def test_a_server_that_goes_away_is_no_fault_of_a_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--junit", str(tmp_path / "junit.xml"), "--json", str(tmp_path / "gate.json")]
    for number in (5, 4, 3):  # before the real client is back, is connected, and the texts
        with servers.background(partial(odd, times=number)) as url:
            assert really(url, "--echo", "echo", *files) == 2
        out = capsys.readouterr().out
        assert out.startswith(
            f"Unknown: {url} cannot be judged: it went away: no connection to 127.0.0.1 port "
        )
        assert "breaks" not in out and "Do not deploy" not in out
        assert "broken" not in out
        assert 'failures="0"' in (tmp_path / "junit.xml").read_text()


def test_a_server_that_closes_between_two_echoes(capsys: pytest.CaptureFixture[str]) -> None:
    with servers.background(partial(odd, answers=1)) as url:
        assert really(url, "--echo", "echo") == 1
    assert ", failed: its send fails (" in capsys.readouterr().out


def test_a_server_that_answers_something_else(capsys: pytest.CaptureFixture[str]) -> None:
    other = '{"eventName":"other","payload":1,"headers":{}}'

    def respond(event: dict[str, Any]) -> str | None:
        return sound(event) if event["payload"] == "still there?" else other

    with servers.background(partial(odd, respond)) as url:
        assert gate(url, "--echo", "echo", "--patience", "0.1") == 1
    out = capsys.readouterr().out
    assert "does not answer (the server wrote no text or binary frame) when it is sent" in out
    assert "64 of its texts were not played" in out


def test_a_runtime_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cannot(self: Preparer, peer: object, version: str | None = None) -> list[str]:
        raise CannotRun("no Dart here\nand more")

    monkeypatch.setattr(Preparer, "command", cannot)
    with servers.background(odd) as url:
        assert main(["gate", "--server", url, *TWO, "--listen", "0.1", "--echo", "echo"]) == 0
        assert "not run (" in capsys.readouterr().out
        assert main(["gate", "--server", url, *TWO, "--listen", "0.1", "--require-real"]) == 2
    out = capsys.readouterr().out
    assert out.startswith(
        "Unknown: it cannot be told: --require-real: dart ZapConsumer 0.3.0 to 0.5.0 could"
    )
    assert "not run (no Dart here), judged from records" in out
