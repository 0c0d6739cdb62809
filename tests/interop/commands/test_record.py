"""The commands `record` and, of a recording, `replay`, as a user runs them."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from interop.cli import main
from tests.support import within
from tests.support.ports import free_port

from .. import servers

EVENT = '{"eventName":"go","payload":{"password":"hunter2"},"headers":{}}'


@asynccontextmanager
async def shop(price: str = "10", *, name: str = "price", token: str = "") -> AsyncIterator[str]:
    """Answer each message with a price."""

    async def answer(connection: ServerConnection) -> None:
        async for _ in connection:
            await connection.send(f'{{"eventName":"{name}","payload":{{"amount":{price}}}}}')

    def check(connection: ServerConnection, asked: Request) -> Response | None:
        if asked.headers.get("Authorization", "") == token:
            return None
        return connection.respond(401, "no")

    async with serve(answer, "127.0.0.1", 0, process_request=check) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def record(out: Path, stop: signal.Signals, token: str = "") -> tuple[int | None, str]:
    """Record one conversation in a process of its own; return its exit status and output."""
    async with shop(token=token) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "interop", "record", "--listen", ":0", "--upstream", url,
            "--out", str(out), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = (await within(process.stdout.readline())).decode()
            to = line.split()[2].strip(",")
            async with connect(to, additional_headers={"Authorization": token}) as client:
                await client.send(EVENT)
                await client.recv()
            async with connect(to, additional_headers={"Authorization": token}) as client:
                await client.send(EVENT)
                await client.recv()
                process.send_signal(stop)
                more, _ = await within(process.communicate())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return process.returncode, line + more.decode()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a server that wants a token."""
    out = tmp_path_factory.mktemp("recorded") / "r.jsonl"
    status, words = asyncio.run(record(out, signal.SIGINT, "Bearer geheim"))
    assert status == 0
    assert words.endswith(
        f"4 messages of 2 connections are in {out}\nmasked: authorization (2), password (2)\n"
    )
    return out


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("TOKEN", "geheim")
    monkeypatch.setenv("PASSWORD", "hunter2")
    return ["--secret", "authorization=env:TOKEN", "--secret", "password=env:PASSWORD",
            "--patience", "0.2"]  # fmt: skip


@pytest.fixture
def url() -> Iterator[str]:
    with servers.background(partial(shop, token="Bearer geheim")) as found:
        yield found


def test_ctrl_c_keeps_what_is_recorded(file: Path) -> None:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["author"] for line in lines if line["on"] == "ended"] == ["server", "proxy"]
    assert lines[-1]["on"] == "stopped"
    assert "geheim" not in file.read_text()
    assert "hunter2" not in file.read_text()


async def test_a_killed_proxy_leaves_all_lines(tmp_path: Path) -> None:
    status, _ = await record(tmp_path / "r.jsonl", signal.SIGKILL)
    assert status == -signal.SIGKILL
    text = (tmp_path / "r.jsonl").read_text()  # a small file
    assert text.count('"on":"said"') == 4


def test_the_same_form(
    file: Path, url: str, known: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(file), "--server", url, *known]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{url} speaks in the form that ws://127.0.0.1:")
    assert out.endswith(" did: 2 events on 2 connections\n")


def test_another_form(
    file: Path, known: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with servers.background(partial(shop, '"ten"', token="Bearer geheim")) as url:
        found = tmp_path / "found.json"
        assert main(["replay", str(file), "--server", url, "--json", str(found), *known]) == 1
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{url} speaks in another form than ws://")
    assert first.endswith(" did: 1 difference")
    assert second.startswith(
        "  event 'price': payload.amount was a number (in 2 samples), is a string now (line "
    )
    written = json.loads(found.read_text())
    assert written["verdict"] == "different"
    assert written["differences"][0]["path"] == "payload.amount"


def test_the_same_difference_on_several_connections(
    file: Path, known: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with servers.background(partial(shop, name="quote", token="Bearer geheim")) as url:
        assert main(["replay", str(file), "--server", url, *known]) == 1
    out = capsys.readouterr().out
    assert "  event 'price': does not come; it came once, on 2 connections (line " in out


def test_what_is_masked_still_is_told(
    file: Path, url: str, known: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = tmp_path / "found.json"
    only_token = [*known[:2], *known[4:], "--json", str(found)]
    assert main(["replay", str(file), "--server", url, *only_token]) == 0
    assert capsys.readouterr().out.endswith(
        "masked in the recording, with no real value given: --secret password=env:VARIABLE\n"
    )
    assert json.loads(found.read_text())["masked"] == ["password"]


def test_options_that_name_nothing_are_refused(
    file: Path, url: str, known: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [
        (["--secret", "passwort=env:TOKEN"],
         "--secret passwort: the recording has it nowhere; masked are authorization, password\n"),
        (["--connection", "7"], "--connection 7: the recording has 2 connections\n"),
        (["--ignore", "price.payload.amount", "--ignore", "prise"],
         "--ignore prise: matches no event and no member, in the recording or now\n"),
    ]  # fmt: skip
    for arguments, words in wrong:
        assert main(["replay", str(file), "--server", url, *known, *arguments]) == 2
        assert words in capsys.readouterr().err
    fitting = ["--ignore", "price", "--ignore", "price.payload.am*", "--connection", "2"]
    assert main(["replay", str(file), "--server", url, *known, *fitting]) == 0


def test_a_recording_of_handshakes_alone_is_not_green(
    file: Path, url: str, known: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = file.read_text().splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(lines[:3]))
    assert main(["replay", str(cut), "--server", url, *known[:2]]) == 2
    assert capsys.readouterr().out.startswith(
        "could not be replayed: in the recording the server says nothing that can be compared\n"
    )


def test_strict_takes_notes_for_differences(
    file: Path, known: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with servers.background(partial(shop, '1, "more": 2', token="Bearer geheim")) as url:
        assert main(["replay", str(file), "--server", url, *known]) == 0
        assert "note: event 'price': payload.more is new, a number" in capsys.readouterr().out
        assert main(["replay", str(file), "--server", url, "--strict", *known]) == 1


def test_a_masked_token_is_asked_for(
    file: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(file), "--server", url]) == 2
    assert capsys.readouterr().out.startswith(
        "could not be replayed: the server refused connection 1 with 401, and its handshake is "
        "masked in the recording: --secret authorization=env:VARIABLE, or --header, gives the "
        "real one\n"
    )
    given = ["--header", "Authorization: Bearer geheim"]
    assert main(["replay", str(file), "--server", url, *given]) == 0


def test_what_cannot_be_replayed_is_status_2(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: list[tuple[list[str], str]] = [
        ([str(file)], "is a recording, of which the client's half is played: --server URL"),
        ([str(file), "--server", f"ws://127.0.0.1:{free_port()}/"], "Connection refused"),
        ([str(file), "--server", "python/ZapServer"], "is not a WebSocket URL"),
        ([str(file), "--server", "ws://x/", "--json", "no/such"], "there is no folder 'no'"),
        (["nope.jsonl", "--server", "ws://x/"], "nope.jsonl: No such file or directory"),
        (
            [str(file), "--server", "ws://x/", "--secret", "a=b"],
            "not of the form NAME=env:VARIABLE",
        ),
        ([str(file), "--server", "ws://x/", "--secret", "a=env:NO_SUCH"], "NO_SUCH is not set"),
    ]
    for arguments, words in wrong:
        assert main(["replay", *arguments]) == 2
        assert words in capsys.readouterr().err


def test_what_cannot_be_recorded_is_status_2(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: list[tuple[list[str], str]] = [
        (["--upstream", "http://x/"], "did you mean ws://?"),
        (["--upstream", "ws://x/", "--out", str(file)], "is there already: name another file"),
        (["--upstream", "ws://x/", "--mask", "/(/"], "is no regular expression"),
        (["--upstream", "ws://x/", "--listen", "192.0.2.1:1", "--out", str(tmp_path)],
         "--listen 192.0.2.1:1: Cannot assign requested address\n"),
    ]  # fmt: skip
    for arguments, words in wrong:
        assert main(["record", *arguments]) == 2
        assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SystemExit):
        main(["record", "--upstream", "ws://x/", "--listen", "9000x"])
    assert "'9000x' is neither PORT nor [HOST]:PORT" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:  # a port alone is one on loopback
        port = str(taken.getsockname()[1])
        out = str(tmp_path / "r.jsonl")
        assert main(["record", "--upstream", "ws://x/", "--listen", port, "--out", out]) == 2
    assert f"--listen 127.0.0.1:{port}: Address already in use\n" in capsys.readouterr().err
