from __future__ import annotations

import ast
from textwrap import dedent
from typing import Any

import pytest

from interop.mutate.operators import (
    OPERATORS,
    Change,
    apply,
    changes,
    instrumented,
    statements,
)
from interop.mutate.population import population, source_of


def made(source: str, operator: str) -> list[str]:
    """Return what the changes of one kind make of a source, its lines joined."""
    source = dedent(source).strip()
    return [apply(source, each) for each in changes("m", source) if each.operator == operator]


@pytest.mark.parametrize(
    ("operator", "before", "after"),
    [
        ("compare", "a < b", ["a <= b"]),
        ("compare", "a <= b", ["a < b"]),
        ("compare", "a > b", ["a >= b"]),
        ("compare", "a >= b", ["a > b"]),
        ("compare", "a == b", ["a != b"]),
        ("compare", "a != b", ["a == b"]),
        ("compare", "a is b", ["a is not b"]),
        ("compare", "a is not b", ["a is b"]),
        ("compare", "a in b", ["a not in b"]),
        ("compare", "a not in b", ["a in b"]),
        ("compare", "0 < a <= 9", ["0 <= a <= 9", "0 < a < 9"]),
        ("compare", "(a) == (b)", ["(a) != (b)"]),
        ("compare", "'é' == b", ["'é' != b"]),
        ("number", "a = 125", ["a = 124", "a = 126"]),
        ("number", "a = 0", ["a = 1"]),
        ("number", "a = 0x7f", ["a = 126", "a = 128"]),
        ("number", "a = 1.5", []),
        ("logic", "a and b and c", ["a or b and c", "a and b or c"]),
        ("logic", "a or b", ["a and b"]),
        ("text", "a = 'headers'", ["a = 'headersX'"]),
        ("text", 'a = b"\\x81"', ['a = b"\\x81X"']),
        ("text", "a = ''", ["a = 'X'"]),
        ("text", "a = 'a sentence for people'", []),
        ("text", "a = f'headers{b}'", []),
        ("text", "raise E('not-json')", []),
        ("text", "logger = getLogger('zaptools')", []),
        ("text", "A: Literal['client'] = b", []),
        ("text", "__all__ = ['a']", []),
        ("boolean", "f(key=True)", ["f(key=False)"]),
        ("boolean", "def f(a=False): ...", ["def f(a=True): ..."]),
        ("number", "def f(a, *, b=5): ...", ["def f(a, *, b=4): ...", "def f(a, *, b=6): ..."]),
        ("negate", "if a < b: c()", ["if not (a < b): c()"]),
        ("negate", "if not a: c()", ["if  a: c()"]),
        ("negate", "if a is b: c()", []),  # a comparison's change
        ("negate", "while a: c()", ["while not (a): c()"]),
        ("negate", "a = b if c else d", ["a = b if not (c) else d"]),
        ("negate", "a = [b for b in c if b.d]", ["a = [b for b in c if not (b.d)]"]),
        ("remove", "a.b()", ["pass"]),
        ("remove", "self.a = 1", ["pass"]),
        ("remove", "a[b] = 1", ["pass"]),
        ("remove", "a.b += 1", ["pass"]),
        ("remove", "del a[b]", ["pass"]),
        ("remove", "raise E('x')", ["pass"]),
        ("remove", "a = 1", []),
        ("remove", "logger.info('a')", []),
        ("remove", "f(\n    a,\n)", ["pass\n\n"]),
        ("arithmetic", "def f(): a = b + c", ["def f(): a = b - c"]),
        ("arithmetic", "def f(): a = b * c", ["def f(): a = b // c"]),
        ("arithmetic", "def f(): a = b & c", ["def f(): a = b | c"]),
        ("arithmetic", "def f(): a = b << c", ["def f(): a = b >> c"]),
        ("arithmetic", "def f(): a -= b", ["def f(): a += b"]),
        ("arithmetic", "def f(): a = b + 'c'", []),
        ("arithmetic", "A = B | C", []),  # of types
    ],
)
def test_a_change(operator: str, before: str, after: list[str]) -> None:
    assert made(before, operator) == after


def test_what_is_returned() -> None:
    assert made("def f() -> int:\n    return a + b", "return") == [
        "def f() -> int:\n    return None"
    ]
    assert made("def f() -> bool:\n    return a.b", "return") == [
        "def f() -> bool:\n    return False",
        "def f() -> bool:\n    return True",
    ]
    assert made("def f() -> None:\n    return None", "return") == []


def test_loops() -> None:
    source = "for a in b:\n    if a: continue\n    break"
    assert made(source, "loop") == [
        "for a in b:\n    if a: break\n    break",
        "for a in b:\n    if a: continue\n    continue",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "def f(a: 'A' = b) -> 'B': ...",
        "a: 'A' = b",
        "@d(frozen=True)\nclass A: ...",
        "class A:\n    '''headers'''",
        "assert a == 1",
        "def __repr__(self): return 'headers'",
        "class A(Protocol):\n    def f(self): return 1",
        "if TYPE_CHECKING:\n    a.b()",
        "def __init__(self):\n    self.a = b",
        "check_kind(a, str, 'reason')",
        "def check_code(a):\n    if a < 1: b()",
        "if logger.isEnabledFor(a):\n    b.c()",
    ],
)
def test_what_is_left_alone(source: str) -> None:
    assert changes("m", source) == []


def test_a_change_names_its_place() -> None:
    source = "class A:\n    def f(self):\n        a(1)\n        a(1)\n"
    first, second = (c for c in changes("m", source) if c.operator == "remove")
    assert (first.function, first.line, first.before, first.after) == ("A.f", 3, "a(1)", "pass")
    assert (first.id, second.id) == ("m A.f: a(1) -> pass", "m A.f: a(1) -> pass #2")


def test_each_change_has_a_kind_that_is_listed() -> None:
    every = population()
    assert {change.operator for change in every} == set(OPERATORS)
    assert len(every) >= 500
    assert len({change.id for change in every}) == len(every)


def test_each_change_of_a_module_keeps_its_lines_and_is_code() -> None:
    module = "zaptools.transport.reader"
    source = source_of(module).read_text("utf-8")
    tree = ast.dump(ast.parse(source))
    for change in changes(module, source):
        changed = apply(source, change)
        assert ast.dump(ast.parse(changed)) != tree, change.id
        assert differing(source, changed) >= {change.line}
        assert min(differing(source, changed)) == change.line


def differing(before: str, after: str) -> set[int]:
    lines = zip(before.split("\n"), after.split("\n"), strict=True)
    return {number for number, (old, new) in enumerate(lines, start=1) if old != new}


def test_statements_mark_themselves() -> None:
    source = dedent(
        """
        from __future__ import annotations

        def f(a):
            "Text."
            if a:
                return 1
            try:
                pass
            finally:
                b = 2
            return 3
        """
    )
    numbers = {node.lineno: n for node, n in statements(ast.parse(source)).items()}
    assert sorted(numbers) == [5, 6, 7, 8, 9, 11, 12]
    names: dict[str, Any] = {"__reached__": bytearray(len(numbers))}
    exec(compile(instrumented(ast.parse(source)), "m", "exec"), names)
    assert names["f"].__doc__ == "Text."
    assert not any(names["__reached__"])
    assert names["f"](1) == 1
    assert {line for line, n in numbers.items() if names["__reached__"][n]} == {6, 7}
    names["f"](0)
    assert {line for line, n in numbers.items() if names["__reached__"][n]} == set(numbers) - {5}


def test_a_change_knows_its_statement() -> None:
    source = "A = 1\ndef f(a=2):\n    if a < 3:\n        return b(\n            4)\n"
    numbers = {n: node.lineno for node, n in statements(ast.parse(source)).items()}
    found: list[Change] = [c for c in changes("m", source) if c.operator == "number"]
    lines = [None if c.statement is None else numbers[c.statement] for c in found]
    assert lines[::2] == [None, None, 3, 4]
