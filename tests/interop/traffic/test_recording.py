from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import interop
from interop.errors import TestbedError
from interop.traffic.recording import Begun, Closed, Recorder, load, schema

SCHEMA = Path(interop.__file__ or "").with_name("recording.schema.json")


def recorder(file: Path, limit: int = 10_000) -> Recorder:
    found = Recorder(file, limit)
    found.begin("ws://host/ws", "/ws")
    return found


def test_the_schema_is_made_from_the_code() -> None:
    made = json.dumps(schema(), indent=2) + "\n"
    assert SCHEMA.read_text("utf-8") == made, "python -m interop.traffic.recording"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    writer = recorder(file)
    line = Closed(writer.now(), 1, "server", 1000, "bye")
    writer.write(line)
    assert not load(file).whole
    writer.close()
    found = load(file)
    assert (found.whole, found.begun.upstream, found.lines[0]) == (True, "ws://host/ws", (2, line))


def test_a_line_that_was_cut_off_is_the_only_loss(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    writer = recorder(file)
    writer.write(Closed(writer.now(), 1, "server", 1000))
    writer.close()
    os.truncate(file, file.stat().st_size - 5)
    assert [number for number, _ in load(file).lines] == [2]


def test_no_file_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    recorder(file).close()
    with pytest.raises(TestbedError, match="is there already"):
        recorder(file)
    with pytest.raises(TestbedError, match="No such file or directory"):
        recorder(tmp_path / "no" / "r.jsonl")


def test_a_limit_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    writer = recorder(file, 400)
    for _ in range(20):
        writer.write(Closed(writer.now(), 1, "server", 1000))
    writer.close()
    assert "limit" in writer.failure
    assert type(load(file).lines[-1][1]).__name__ == "Lost"
    assert file.stat().st_size < 600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_ends_it(tmp_path: Path) -> None:
    writer = recorder(tmp_path / "r.jsonl")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._file)
    os.close(full)
    writer.write(Closed(writer.now(), 1, "server", 1000))
    writer.close()
    assert writer.failure.endswith("No space left on device")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no recording"),
        ("hello\n", "is no recording"),
        ("{}\n", "is no recording"),
        ('{"format":2}\n', "has the format 2; this version reads 1"),
        ('{"on":"begun","t":0,"format":1,"upstream":"u","path":"/","at":"now"}\n{"on":"x","t":1}\n',
         ":2: no line of a recording: "),
        ('{"on":"stopped","t":0,"format":1}\n', ":1: a recording begins with a line 'begun'"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text(text)
    with pytest.raises(TestbedError, match=words):
        load(file)


def test_another_member_is_read_over(tmp_path: Path) -> None:
    """A later version may add some and keep the format."""
    file = tmp_path / "r.jsonl"
    line = {"on": "begun", "t": 0, "format": 1, "upstream": "u", "path": "/", "at": "x", "new": 1}
    file.write_text(json.dumps(line) + "\n")
    assert load(file).begun == Begun(0, 1, "u", "/", "x")
