"""Programs that are ready, that answer, and that do not."""

from __future__ import annotations

import sys

import pytest

from bench.errors import MeasureError
from bench.program import Program
from tests.support import PATIENCE

GOOD = """
import json, sys
print('READY {"port": 7, "versions": {"python": "3"}}', flush=True)
for line in sys.stdin:
    print(json.dumps({"error": "cannot this"} if line == "bad\\n" else line.split()), flush=True)
"""


def program(text: str, timeout: float = PATIENCE) -> Program:
    return Program([sys.executable, "-c", text], timeout=timeout)


def test_it_is_ready_and_answers() -> None:
    with program(GOOD) as running:
        assert (running.port, running.versions) == (7, {"python": "3"})
        assert running.ask("broadcast", 5, 0.1) == ["broadcast", "5", "0.1"]
        with pytest.raises(MeasureError, match="the program cannot this"):
            running.ask("bad")


def test_it_gets_the_variables() -> None:
    text = "import os; print('READY {\"port\": %s, \"versions\": {}}' % os.environ['P'])"
    with Program([sys.executable, "-c", text], environment={"P": "5"}) as running:
        assert running.port == 5


def test_one_that_ends_is_told_with_its_last_words() -> None:
    with pytest.raises(MeasureError, match=r"ended with status 3:\nno luck"):
        with program("import sys; print('no luck', file=sys.stderr); sys.exit(3)"):
            pass


def test_one_that_prints_something_else_is_told() -> None:
    with pytest.raises(MeasureError, match="'hello' instead of READY"):
        with program("print('hello')"):
            pass


def test_one_that_says_nothing_is_told() -> None:
    with pytest.raises(MeasureError, match="said nothing for 0 s"):
        with program("input()", timeout=0.01):  # nobody writes it a line
            pass


def test_one_that_ends_later_is_told_each_time() -> None:
    text = 'print(\'READY {"port": 1, "versions": {}}\', flush=True); input(); exit(4)'
    with program(text) as running:
        for _ in range(3):
            with pytest.raises(MeasureError, match="ended with status 4"):
                running.ask("cpu")
