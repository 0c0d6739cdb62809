"""What the matrix' container starts with, where commands that need root are written down."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path("interop/entrypoint.sh").resolve()

COMMANDS = {
    "stat": 'echo "$OWNER"',
    "chown": 'echo "chown $*" >>done',
    "setpriv": 'echo "setpriv $1 $2" >>done; shift 3; exec "$@"',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, body in COMMANDS.items():
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{body}\n")
        command.chmod(0o755)
    (tmp_path / "results" / "logs").mkdir(parents=True)
    (tmp_path / "results" / "logs" / "old.log").write_text("of the last run")
    (tmp_path / "logs").mkdir()
    for peer in ("python", "node", "go"):
        (tmp_path / "logs" / f"{peer}.log").write_text(f"{peer} said this")
    return tmp_path


def start(folder: Path, *command: str, owner: str = "1234:5678") -> subprocess.Popen[str]:
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "OWNER": owner,
        "INTEROP_PEERS": "python,node",
        "INTEROP_RESULTS": "/home/me/zap/results",
    }
    return subprocess.Popen(
        ["sh", str(SCRIPT), *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_runs_as_the_owner_of_the_compose_file(folder: Path) -> None:
    process = start(folder, "true")
    assert (process.communicate(timeout=30)[0], process.returncode) == ("", 0)
    assert (folder / "done").read_text().splitlines() == [
        "chown -hR 1234:5678 results",
        "setpriv --reuid=1234 --regid=5678",
        "chown -hR 1234:5678 results",
    ]
    assert not (folder / "results" / "logs").exists(), "peers are quiet where nothing is red"


def test_root_runs_it_as_another_and_gets_the_results(folder: Path) -> None:
    process = start(folder, "true", owner="0:0")
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (folder / "done").read_text().splitlines() == [
        "chown -hR 1000:1000 results",
        "setpriv --reuid=1000 --regid=1000",
        "chown -hR 0:0 results",
    ]


def test_what_is_red_leaves_what_the_chosen_peers_said(folder: Path) -> None:
    process = start(folder, "sh", "-c", "exit 1")
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert said == "what the peers said: /home/me/zap/results/logs\n"
    logs = {path.name: path.read_text() for path in (folder / "results" / "logs").iterdir()}
    assert logs == {"python.log": "python said this", "node.log": "node said this"}


def test_a_signal_is_passed_on_and_waited_for(folder: Path) -> None:
    body = "trap 'sleep 0.2; echo written; exit 2' TERM; echo ready; while :; do sleep 0.05; done"
    process = start(folder, "sh", "-c", body)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[0]
    assert said.splitlines() == ["written", "what the peers said: /home/me/zap/results/logs"]
    assert process.returncode == 2
