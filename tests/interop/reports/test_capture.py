"""Captures of recorded cells, read by other readers: of the file, of TCP, and wsproto of frames."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import AcceptConnection, CloseConnection, Ping, Pong, Request, TextMessage

from interop.records import CellResult, Role
from interop.reports.capture import MADE_UP, capture
from interop.reports.qlog import qlog

from ..cells import cell, frame

TEXT = '{"eventName":"echo","payload":"é🙂","headers":{}}'
LONG = "x" * 400


def recorded(**more: Any) -> CellResult:
    frames = [
        frame("client", TEXT, t_ms=1.5),
        frame("judge", "", to="client", kind="ping", t_ms=2.0),
        frame("client", "", kind="pong", t_ms=2.5),
        frame("server", TEXT, t_ms=3.0),
        frame("server", "done", kind="close", code=4001, t_ms=4.0),
    ]
    data: dict[str, Any] = {
        "frames": frames,
        "frames_total": len(frames),
        "connections": [
            {
                "t_ms": 1.0,
                "target": "/ws?a=1",
                "headers": [["X-Name", "value"], ["Authorization", "Bearer secret"]],
                "status": 101,
                "protocol": "zap",
                "ended": {"by": "server", "t_ms": 5.0},
            }
        ],
    }
    return cell(**{**data, **more})


# --- A reader of pcapng files and of TCP, which shares nothing with the writer ------------------


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, size = struct.unpack_from("<II", data)
        assert size % 4 == 0
        assert struct.unpack_from("<I", data, size - 4) == (size,)
        yield kind, data[8 : size - 4]
        data = data[size:]


def comment_of(options: bytes) -> str:
    if not options:
        return ""
    code, size = struct.unpack_from("<HH", options)
    assert code == 1
    assert options[4 + size + -size % 4 :] == bytes(4)
    return options[4 : 4 + size].decode()


def packets(data: bytes) -> list[tuple[float, bytes, int, str]]:
    """Return time, data, true length and comment of each packet."""
    found = []
    for kind, body in list(blocks(data))[2:]:
        assert kind == 6
        _, high, low, kept, length = struct.unpack_from("<IIIII", body)
        options = body[20 + kept + -kept % 4 :]
        when = (high << 32 | low) / 1e6
        found.append((when, body[20 : 20 + kept], length, comment_of(options)))
    return found


def is_right(data: bytes) -> bool:
    """Whether a checksum that is part of the data fits."""
    data += bytes(len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    return total % 0xFFFF == 0


def streams(data: bytes) -> dict[tuple[int, Role], bytes]:
    """Return what each side sent, by the client's port and the side; checks every number."""
    sent: dict[tuple[int, Role], bytes] = {}
    expected: dict[tuple[int, Role], int] = {}
    for _, packet, length, _ in packets(data):
        assert packet[0] == 0x45
        assert struct.unpack_from("!H", packet, 2) == (length,)
        assert is_right(packet[:20])
        source, target, number, _, offset, flags = struct.unpack_from("!HHIIBB", packet, 20)
        side: Role = "server" if source == 80 else "client"
        key = (target if side == "server" else source, side)
        if length == len(packet):
            pseudo = packet[12:20] + struct.pack("!HH", 6, length - 20)
            assert is_right(pseudo + packet[20:])
        body, size = packet[20 + (offset >> 4) * 4 :], length - 40
        assert number == expected.get(key, number)
        expected[key] = number + size + bool(flags & 3)
        sent[key] = sent.get(key, b"") + body + bytes(size - len(body))
    return sent


def test_a_client_s_side_is_read_by_another_library() -> None:
    sent = streams(capture(recorded(), epoch=1000.0))
    (client,) = [data for (_, side), data in sent.items() if side == "client"]
    head, _, frames = client.partition(b"\r\n\r\n")
    reader = WSConnection(ConnectionType.SERVER)
    reader.receive_data(head + b"\r\n\r\n")
    (asked,) = reader.events()
    assert isinstance(asked, Request)
    assert asked.target == "/ws?a=1"
    assert (b"x-name", b"value") in asked.extra_headers
    assert b"secret" not in head
    reader.send(AcceptConnection())
    reader.receive_data(frames)
    text, pong = reader.events()
    assert isinstance(text, TextMessage)
    assert text.data == TEXT
    assert isinstance(pong, Pong)


def test_a_server_s_side_is_read_by_another_library() -> None:
    sent = streams(capture(recorded(), epoch=1000.0))
    (server,) = [data for (_, side), data in sent.items() if side == "server"]
    head, _, frames = server.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Protocol: zap" in head
    reader = Connection(ConnectionType.CLIENT)
    reader.receive_data(frames)
    ping, text, closed = reader.events()
    assert isinstance(ping, Ping)
    assert isinstance(text, TextMessage)
    assert text.data == TEXT
    assert isinstance(closed, CloseConnection)
    assert (closed.code, closed.reason) == (4001, "done")


def test_times_are_those_of_the_record() -> None:
    times = [when for when, *_ in packets(capture(recorded(), epoch=1000.0))]
    assert times == sorted(times)
    assert times[0] == pytest.approx(1000.001)
    assert times[-1] == pytest.approx(1000.005)


def test_the_file_says_what_is_made_up() -> None:
    kind, section = next(blocks(capture(recorded(), epoch=0.0)))
    assert kind == 0x0A0D0D0A
    assert comment_of(section[16:]).splitlines()[1:] == [MADE_UP]


def test_what_was_cut_is_cut_in_the_capture_and_said() -> None:
    frames = [
        frame("client", LONG, length=100_000, t_ms=1.0),
        frame("client", TEXT, t_ms=2.0),
    ]
    data = capture(recorded(frames=frames, frames_total=7), epoch=0.0)
    _, section = next(blocks(data))
    assert comment_of(section[16:]).splitlines()[2:] == [
        "1 of 2 frames are cut: only their beginning was recorded",
        "5 more frames followed, which were not recorded",
    ]
    cut = [(len(kept), length, said) for _, kept, length, said in packets(data) if said]
    said = "only the beginning of this text frame of 100000 bytes was recorded"
    assert [each[2] for each in cut] == [said] * 4
    assert sum(length - 40 for _, length, _ in cut) == 100_000 + 14
    assert cut[0][0] == 40 + 14 + len(LONG)
    (client,) = [sent for (_, side), sent in streams(data).items() if side == "client"]
    assert client.endswith(bytes(byte ^ b"mask"[at % 4] for at, byte in enumerate(TEXT.encode())))


def test_bytes_that_are_no_text_are_no_whole_frame() -> None:
    escaped = frame("server", "a\\xff", kind="binary", length=2)
    data = capture(recorded(frames=[escaped], frames_total=1), epoch=0.0)
    assert [said for *_, said in packets(data) if said] == [
        "only the beginning of this binary frame of 2 bytes was recorded"
    ]


def test_a_cell_of_the_judge_gets_a_connection() -> None:
    data = capture(recorded(connections=[]), epoch=0.0)
    assert {side for _, side in streams(data)} == {"client", "server"}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_wireshark_dissects_it_as_websocket(tmp_path: Path) -> None:
    file = tmp_path / "cell.pcapng"
    file.write_bytes(capture(recorded(), epoch=1_700_000_000.0))
    shown = subprocess.run(
        ["tshark", "-r", str(file), "-o", "tcp.check_checksum:TRUE", "-Y", "websocket",
         "-T", "fields", "-e", "websocket.opcode", "-e", "websocket.mask", "-e", "_ws.expert"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert [line.split() for line in shown.splitlines()] == [
        ["1", "1"], ["9", "0"], ["10", "1"], ["1", "0"], ["8", "0"],
    ]  # fmt: skip


# --- qlog ---------------------------------------------------------------------------------


def test_qlog_has_frames_requests_and_notifications_of_each_side() -> None:
    headers = {"Authorization": "Bearer secret", "X-Name": "value"}
    whole = recorded(
        notifications={
            "server": [{"on": "connected", "conn": "1", "t_ms": 1.2}],
            "clients": [[{"on": "state", "state": "online", "t_ms": 1.3}]],
        },
        requests={
            "server": [],
            "clients": [[{"op": "open", "args": {"headers": headers}, "t_ms": 0.5,
                          "done_ms": 1.4, "outcome": "ok"}]],
        },
    )  # fmt: skip
    found = qlog(whole, started="2026-01-02T03:04:05+00:00")
    assert found["file_schema"] == "urn:ietf:params:qlog:file:contained"
    server, client = found["traces"]
    assert server["vantage_point"]["type"] == "server"
    assert [(each["time"], each["name"]) for each in client["events"]] == [
        (0.5, "peer:request"),
        (1.3, "peer:notification"),
        (1.5, "websocket:frame_sent"),
        (2.0, "websocket:frame_received"),
        (2.5, "websocket:frame_sent"),
        (3.0, "websocket:frame_received"),
        (4.0, "websocket:frame_received"),
    ]
    assert client["events"][-1]["data"] == {
        "connection": 1, "opcode": "close", "payload_length": 4, "payload": "done",
        "close_code": 4001,
    }  # fmt: skip
    assert client["events"][0]["data"]["args"]["headers"]["X-Name"] == "value"
    assert "secret" not in json.dumps(found)
    names = [each["name"] for each in server["events"]]
    assert names.count("websocket:frame_sent") == 2  # and not the judge's ping


def test_qlog_marks_what_was_cut() -> None:
    cut = recorded(frames=[frame("client", LONG, length=100_000)], frames_total=3)
    found = qlog(cut, started="2026-01-02T03:04:05+00:00")
    assert "2 more frames followed, which were not recorded" in found["description"]
    assert found["traces"][1]["events"][0]["data"]["payload_is_cut"] is True
