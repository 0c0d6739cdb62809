"""On which event loops the tests run, that no property is a question of time, and their scores."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping

import pytest
import uvloop
from hypothesis import HealthCheck, settings

# On a busy machine an example takes any time, and so does making it. Every run tries the same
# ones: whether a branch is reached, or a rare fault found, is then no question of luck.
settings.register_profile(
    "zaptools",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("zaptools")

# A shell has what it starts in its background ignore Ctrl-C, nohup has it ignore the end of a
# terminal; and so does whatever that starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ON_EACH_LOOP = ("test_transport.py", "test_opening.py", "test_dial.py")
"""The tests of what meets a socket, where event loops differ."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of some files on asyncio's own loop and on uvloop, all others on the first."""
    factories = {"asyncio": asyncio.new_event_loop}
    if item.path.name in ON_EACH_LOOP:
        factories["uvloop"] = uvloop.new_event_loop
    return factories


def pytest_xdist_auto_num_workers() -> int | None:
    """Let `-n auto` be two workers a core, as the tests wait more than they compute."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist's own answer
    return 2 * (os.cpu_count() or 1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the scores that tests measured, however quiet pytest is."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name.startswith("culprit score"):
                terminalreporter.write_line(f"{name}: {value}")
