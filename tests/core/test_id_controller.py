"""`IDController`."""

from __future__ import annotations

from zaptools.core import IDController


def test_ids() -> None:
    ids = IDController()
    assert ids.eval("mine") == "mine"
    assert ids.eval().startswith("zpt-")
    assert ids.eval(None) != ids.eval("")
