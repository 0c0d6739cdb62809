"""What the GitHub action of `action.yml` runs: asks the testbed, and hands its answer on.

``python action.py ask`` reads the action's inputs from ``$INPUT_…``. It starts the server, if it is
to, runs the command of the testbed, and writes the outputs to ``$GITHUB_OUTPUT``; it fails only
where it cannot do that, since a later step fails by the verdict. It uses the standard library
alone, and knows the testbed by its command line.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

MODES = ("check", "check-client", "gate", "run")

VERDICTS = {0: "works", 1: "broken"}
"""By exit status; any other is "unknown"."""

START_TIMEOUT = 60.0
"""Seconds for a server to listen."""

_MOST = 60_000
"""Characters of a comment; GitHub takes 65,536."""


class InputError(Exception):
    """An input of the action is missing, or wrong."""


def main(words: list[str]) -> int:
    """Run a step of the action, and return its exit status."""
    if words != ["ask"]:
        sys.stderr.write("usage: action.py ask\n")
        return 2
    temp = Path(os.environ["RUNNER_TEMP"])
    results, before = temp / "zaptools-results", temp / "zaptools-before"
    shutil.rmtree(results, ignore_errors=True)
    try:
        command = arguments(os.environ, results)
        with started(os.environ.get("INPUT_START", ""), os.environ.get("INPUT_URL", "")):
            done = subprocess.run(
                [sys.executable, "-m", "interop", *command], stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
    except InputError as exc:
        sys.stdout.write(f"::error title=zaptools::{exc}\n")
        answer(2, str(exc), results, "")
        return 0
    sys.stdout.write(done.stdout)
    said = sentence(results, done.stdout)
    answer(done.returncode, said, results, comment(said, results, before, temp))
    if (results / "results.json").is_file():
        before.mkdir(parents=True, exist_ok=True)
        shutil.copy(results / "results.json", before)
    return 0


def arguments(inputs: Mapping[str, str], results: Path) -> list[str]:
    """Return the arguments of the testbed for the action's inputs.

    Raises:
        InputError: an input is missing, or is none of this mode.
    """

    def given(name: str) -> str:
        return inputs.get(f"INPUT_{name.upper()}", "").strip()

    def flag(name: str) -> bool:
        if given(name) not in ("", "true", "false"):
            raise InputError(f"{name} is {given(name)!r}: it is true or false")
        return given(name) == "true"

    mode = given("mode")
    if mode not in MODES:
        raise InputError(f"mode is {mode!r}: it is one of {', '.join(MODES)}")
    allowed = {
        "check": ("url", "start", "echo"),
        "check-client": ("command", "echo"),
        "gate": ("url", "start", "clients", "peers", "echo", "baseline"),
        "run": ("peers", "versions"),
    }[mode]
    for name in ("url", "start", "command", "clients", "peers", "echo", "baseline"):
        if given(name) and name not in allowed:
            raise InputError(f"{name} is none of the inputs of mode {mode}: {', '.join(allowed)}")
    if given("versions") not in ("", "newest", "all"):
        raise InputError(f"versions is {given('versions')!r}: it is newest or all")
    for name in ("url", "command"):
        if name in allowed and not given(name):
            raise InputError(f"mode {mode} needs the input {name}")

    words = [mode, "--results", str(results), "--format", "github"]
    if mode == "gate":
        words += ["--server", given("url")]
        for pattern in given("clients").splitlines():
            words += ["--clients", pattern.strip()]
    for name in ("peers", "echo", "baseline"):
        if given(name):
            words += [f"--{name}", given(name)]
    if mode == "run" and given("versions") == "all":
        words += ["--versions", "all"]
    if flag("strict"):
        if mode == "gate":
            raise InputError("strict is none of the inputs of mode gate: each break is one")
        words.append("--strict")
    words += given("arguments").splitlines()
    if mode == "check":
        words.append(given("url"))
    if mode == "check-client":
        words += ["--", *shlex.split(given("command"))]
    return words


@contextlib.contextmanager
def started(command: str, url: str) -> Iterator[None]:
    """Run a server while the block does, and end it afterwards, with all that it started.

    Raises:
        InputError: it does not listen.
    """
    if not command.strip():
        yield
        return
    if _is_listened_on(url):
        raise InputError(f"start: another program listens at {url} already")
    # By a shell, as a `run` of the workflow, whose author writes the command.
    server = subprocess.Popen(command, shell=True, start_new_session=True, executable="/bin/bash")
    try:
        _wait_for(server, url)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        with contextlib.suppress(ProcessLookupError):  # and what the shell has left behind
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(server: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + START_TIMEOUT
    while not _is_listened_on(url):
        if server.poll() is not None:
            raise InputError(f"start: the server ended with status {server.returncode}")
        if time.monotonic() > until:
            raise InputError(f"start: after {START_TIMEOUT:g} s nothing listens at {url}")
        time.sleep(0.1)  # nothing tells of a port that it is listened on


def _is_listened_on(url: str) -> bool:
    parts = urlsplit(url)
    place = parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)
    try:
        socket.create_connection(place, timeout=1).close()
    except OSError:
        return False
    return True


def sentence(results: Path, output: str) -> str:
    """Return the answer in one line: that of the results, else the first line of the output."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        found = json.loads((results / "results.json").read_text("utf-8"))["run"]["answer"]
        if found:
            return " ".join(str(found).split())
    lines = (line.strip() for line in output.splitlines())
    return next((line for line in lines if line and not line.startswith("::")), "no answer")


def answer(status: int, said: str, results: Path, comment: str) -> None:
    """Write the action's outputs."""
    report = results / "report.html"
    outputs = {
        "status": str(status),
        "verdict": VERDICTS.get(status, "unknown"),
        "answer": said,
        "report": str(report) if report.is_file() else "",
        "results": str(results),
        "comment": comment,
    }
    with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in outputs.items())


def comment(said: str, results: Path, before: Path, temp: Path) -> str:
    """Write a comment for a pull request, and return its path.

    It has the answer, and, if the results of the base branch are known, how they differ.
    """
    parts = [f"**{said}**"]
    if (before / "results.json").is_file() and (results / "results.json").is_file():
        compared = subprocess.run(
            [sys.executable, "-m", "interop", "compare", "--common",
             str(before / "results.json"), str(results / "results.json")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        parts.append(f"Compared with the base branch:\n\n```text\n{compared.stdout.strip()}\n```")
    else:
        parts.append("There are no results of the base branch to compare with yet.")
    path = temp / "zaptools-comment.md"
    path.write_text("\n\n".join(parts)[:_MOST] + "\n", "utf-8")
    return str(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
