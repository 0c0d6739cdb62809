from __future__ import annotations

from typing import Any

from interop.catalog import Api
from interop.spec.conformance import page
from interop.verdicts.deviations import Deviation

from .small import SCENARIOS, rules

APIS = [
    Api("one", "server", "S", "2"),
    Api("one", "server", "S", "1", older=True),
    Api("one", "client", "C", lacks={"request": "none"}),
    Api("two", "server", "T", lacks={"rooms": "none"}),
    Api("bad", "server", "B", control=True),
]


def known(peer: str = "one", role: Any = "server", **more: Any) -> Deviation:
    found = {"scenarios": ("b.x",), "cause": "it forgets", "seen": ("x",), **more}
    return Deviation(peer, role, **found)


def table(*deviations: Deviation) -> list[str]:
    lines = page(rules(), SCENARIOS, APIS, deviations).splitlines()
    return [line for line in lines if line.startswith("| ")]


def test_each_rule_of_the_wire_has_a_row() -> None:
    assert table() == [
        "| rule | scenarios | one server | two server | one client |",
        "| --- | --- | --- | --- | --- |",
        "| [A-1](alpha.md#a-1) | `a.one` | ✓ | ✓ |  |",
        "| [A-2](alpha.md#a-2) *should* | `b.*` | ✓ | - | - |",
        "| [A-3](alpha.md#a-3) | none | ✓ | ✓ | ✓ |",
        "| [A-4](alpha.md#a-4) | none | · | · | · |",
    ]


def test_a_deviation_is_the_number_of_its_cause() -> None:
    text = page(rules(), SCENARIOS, APIS, [known(), known(scenarios=("a.*",))])
    assert "| [A-2](alpha.md#a-2) *should* | `b.*` | 1 | - | - |" in text
    assert "| [A-1](alpha.md#a-1) | `a.one` | 1 | ✓ |  |" in text
    assert text.endswith("## Causes\n\n1. server `one@2/S`: it forgets\n")


def test_what_concerns_no_newest_version_is_not_there() -> None:
    older = known("one@1"), known(other="one@1"), known("bad"), known(role="client")
    assert table(*older) == table()
    assert "forgets" not in page(rules(), SCENARIOS, APIS, older)


def test_one_with_a_newest_version_on_the_other_side_is() -> None:
    assert "| 1 |" in table(known(other="one/C"))[3]
