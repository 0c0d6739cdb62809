"""The module that the README of zaptools 0.5 names."""

from __future__ import annotations

import zaptools
from zaptools import tools
from zaptools.connectors import FastApiConnector


def test_names() -> None:
    assert tools.EventRegister is zaptools.EventRegister
    assert tools.EventContext is zaptools.EventContext
    made: type[tools.Connector] = FastApiConnector
    assert made
