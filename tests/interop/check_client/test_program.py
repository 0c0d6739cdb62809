"""The program under test: its start, what it prints, and its end with all that it started."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from interop.check_client.door import ClientError
from interop.check_client.program import Program
from tests.support import until, within

from ..strays import strays

SLEEPS = "import time; time.sleep(60)"


async def python(text: str, **variables: str) -> Program:
    return await Program.start([sys.executable, "-u", "-c", text], variables)


async def test_its_end_and_what_it_printed() -> None:
    program = await python("import os, sys; print(os.environ['A']); sys.exit('bad')", A="5")
    await within(program.ended.wait())
    await program.stop()
    assert (program.end, program.killed) == ("ended with status 1", False)
    assert program.output(5) == ["5", "bad"]
    assert program.output(1) == ["…", "bad"]


async def test_a_crash_is_no_end_by_the_judge() -> None:
    crashed = await python("import os; os.kill(os.getpid(), 11)")
    await within(crashed.ended.wait())
    stopped = await python(SLEEPS)
    await asyncio.gather(crashed.stop(), stopped.stop())
    assert (crashed.end, crashed.killed) == ("was ended by SIGSEGV", True)
    assert (stopped.end, stopped.killed) == ("", False)


async def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    child = f"[{sys.executable!r}, '-c', 'import time; time.sleep(60)  # {tmp_path}']"
    program = await python(f"import subprocess; subprocess.Popen({child}); print(1); {SLEEPS}")
    await until(lambda: program.output(1))
    assert len(strays(tmp_path)) == 2
    await program.stop()
    await until(lambda: not strays(tmp_path))  # a killed one ends a moment later


async def test_one_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interop.check_client.program._GRACE", 0.1)
    program = await python(
        f"import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); {SLEEPS}"
    )
    await until(lambda: program.output(1))
    await within(program.stop())
    assert program.end == ""


async def test_endless_output_is_kept_in_part() -> None:
    program = await python("while True: print('x' * 1000)")
    await until(lambda: len(program.output(100)) > 50)
    await program.stop()
    lines = program.output(10_000)
    assert lines[0] == "…"
    assert len(lines) < 70


async def test_what_it_printed_before_is_left_out() -> None:
    program = await python("print('early')")
    await within(program.ended.wait())
    await until(lambda: program.output(9))
    program.pass_by()
    assert program.output(9) == []
    await program.stop()


async def test_only_what_follows_is_kept_after_it() -> None:
    program = await python("import time\nprint('one', flush=True); time.sleep(0.3); print('two')")
    await until(lambda: program.output(9) == ["one"])
    program.pass_by()
    await within(program.ended.wait())
    await program.stop()
    assert program.output(9) == ["two"]


async def test_one_that_cannot_be_started_is_named() -> None:
    with pytest.raises(ClientError, match="cannot start 'nonesuch': No such file or directory"):
        await Program.start(["nonesuch"], {})
