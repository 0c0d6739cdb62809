"""On which event loops the tests run, and that no property is a question of time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop
from hypothesis import settings

# On a busy machine an example takes any time.
settings.register_profile("zaptools", deadline=None)
settings.load_profile("zaptools")

ON_EACH_LOOP = ("test_transport.py", "test_opening.py")
"""The tests of what meets a socket, where event loops differ."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of some files on asyncio's own loop and on uvloop, all others on the first."""
    factories = {"asyncio": asyncio.new_event_loop}
    if item.path.name in ON_EACH_LOOP:
        factories["uvloop"] = uvloop.new_event_loop
    return factories
