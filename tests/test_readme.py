"""The README's programs run as they stand and print what it says they print."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import PATIENCE
from tests.support.ports import free_port

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)  # another process's start cannot be awaited
    pytest.fail("the README's server did not listen")


def test_the_programs_print_what_is_said(tmp_path: Path) -> None:
    server, client = blocks("python")
    (output,) = blocks("text")
    port = free_port()
    for name, program in (("server.py", server), ("client.py", client)):
        assert "8000" in program
        (tmp_path / name).write_text(program.replace("8000", str(port)), "utf-8")
    with subprocess.Popen(
        [sys.executable, "-W", "error", "server.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            wait_for(port, running)
            done = subprocess.run(
                [sys.executable, "-W", "error", "client.py"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
        finally:
            running.terminate()
        said = "zaptools listens on ws://127.0.0.1:8000/ws; Ctrl-C stops it"
        assert f"`{said}`" in README
        told = running.communicate(timeout=PATIENCE)[0]
        assert told == said.replace("8000", str(port)) + "\n"
    assert (done.stdout, done.stderr) == (output, "")


def test_it_opens_with_one_sentence_and_the_two_commands() -> None:
    first = next(line for line in README.splitlines()[1:] if line)
    assert first.endswith(".")
    assert first.count(". ") == 0
    commands = [line.split("#")[0].strip() for line in blocks("sh")[0].splitlines()]
    assert commands == ["make interop", "make test"]


def test_every_make_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"\bmake ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", ["README.md", *(p.name for p in (ROOT / "docs").glob("*.md"))])
def test_links_to_files_lead_somewhere(page: str) -> None:
    path = ROOT / page if page == "README.md" else ROOT / "docs" / page
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), target
