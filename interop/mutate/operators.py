"""The changes that can be made in a module, found in its syntax tree. Pure.

A change replaces a few characters and keeps every line where it is, so that its difference is one
line and tracebacks still fit. Left alone is what only people read, or what no test is meant to
find: annotations, decorators, docstrings, `assert`, log calls, texts of errors, ``__repr__`` and
``__str__``, ``__all__`` and ``__slots__``; checks of an application's arguments, the functions
``check_…``; and assignments to attributes in ``__init__``, without which the first use fails.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

__all__ = ["OPERATORS", "Change", "apply", "changes", "instrumented", "statements"]

OPERATORS: Mapping[str, str] = {
    "compare": "another comparison: < and <=, == and !=, is and is not, in and not in",
    "number": "an integer one more, and one less",
    "negate": "a condition the other way round",
    "remove": "a call, a raise, a del or an assignment to an attribute or item left out",
    "logic": "and for or, or for and",
    "return": "None returned, or True and False where a bool is",
    "text": "another string: keys, names, states; and bytes",
    "arithmetic": "+ for -, * for //, & for |, << for >>, and the other way round",
    "loop": "break for continue, continue for break",
    "boolean": "True for False, False for True, defaults of arguments among them",
}
"""The kinds of change, each with what it does."""

REACHED = "__reached__"
"""The name of the array in which `instrumented` code marks its statements."""

_COMPARISONS: Mapping[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: (r"<", "<="),
    ast.LtE: (r"<=", "<"),
    ast.Gt: (r">", ">="),
    ast.GtE: (r">=", ">"),
    ast.Eq: (r"==", "!="),
    ast.NotEq: (r"!=", "=="),
    ast.Is: (r"\bis\b", "is not"),
    ast.IsNot: (r"\bis\s+not\b", "is"),
    ast.In: (r"\bin\b", "not in"),
    ast.NotIn: (r"\bnot\s+in\b", "in"),
}

_ARITHMETIC: Mapping[type[ast.operator], tuple[str, str]] = {
    ast.Add: (r"\+", "-"),
    ast.Sub: (r"-", "+"),
    ast.Mult: (r"\*", "//"),
    ast.FloorDiv: (r"//", "*"),
    ast.BitAnd: (r"&", "|"),
    ast.BitOr: (r"\|", "&"),
    ast.LShift: (r"<<", ">>"),
    ast.RShift: (r">>", "<<"),
}

_WORDED = {"ParamSpec", "TypeVar", "cast", "getLogger"}
"""Functions whose strings are for people or for type checkers."""

_CHECK = "check_"

_WORDS = {"__repr__", "__str__", "__all__", "__slots__"}

_LOGS = {"logger", "_logger", "log", "_log"}

_NAME = re.compile(r"[A-Za-z$][\w$.-]*|")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one module.

    Attributes:
        module: its name.
        function: the qualified name of the innermost function or class; empty outside of any.
        line: where it is.
        operator: its kind, one of `OPERATORS`.
        before, after: the first line that it changes, without indentation, and what that becomes.
        number: counts those changes of one function that have the same `before` and `after`.
        statement: the number of the statement that it is in, as `statements` counts; None outside
            of functions, where code runs when the module is imported.
        start, end, text: the bytes that it replaces, and the replacement.
    """

    module: str
    function: str
    line: int
    operator: str
    before: str
    after: str
    number: int
    statement: int | None
    start: int
    end: int
    text: str

    @property
    def id(self) -> str:
        """What names the change as long as its function and its line stay the same."""
        number = f" #{self.number}" if self.number > 1 else ""
        return f"{self.module} {self.function}: {self.before} -> {self.after}{number}"


def changes(module: str, source: str) -> list[Change]:
    """Return all changes that can be made in a module, in order of their places."""
    finder = _Finder(module, source)
    finder.visit(finder.tree)
    seen: Counter[tuple[str, str, str]] = Counter()
    result = []
    places = {(each.start, each.end, each.text): each for each in finder.found}
    for _, found in sorted(places.items()):
        key = (found.function, found.before, found.after)
        seen[key] += 1
        result.append(replace(found, number=seen[key]))
    return result


def apply(source: str, change: Change) -> str:
    """Return the module's source with the change made; it has as many lines as before."""
    data = source.encode()
    lines = data[change.start : change.end].count(b"\n") - change.text.count("\n")
    return b"".join(
        [data[: change.start], change.text.encode(), b"\n" * lines, data[change.end :]]
    ).decode()


def statements(tree: ast.Module) -> dict[ast.stmt, int]:
    """Return the number of each statement inside of functions."""
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for body in function.body
        for node in ast.walk(body)
        if isinstance(node, ast.stmt)
    }
    return {
        node: number
        for number, node in enumerate(n for n in ast.walk(tree) if n in inside)
        if isinstance(node, ast.stmt)
    }


def instrumented(tree: ast.Module) -> ast.Module:
    """Change a module's tree so that each statement in a function marks itself in `REACHED`.

    That is an array of bytes in the module's namespace, with a place for each of `statements`.
    """
    numbers = statements(tree)
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                marked = [new for each in block for new in _marked(each, numbers.get(each))]
                setattr(node, field, marked)
    return ast.fix_missing_locations(tree)


def _marked(statement: ast.stmt, number: int | None) -> Iterator[ast.stmt]:
    if number is not None and not _is_docstring(statement):
        (mark,) = ast.parse(f"{REACHED}[{number}] = 1").body
        for node in ast.walk(mark):
            ast.copy_location(node, statement)
        yield mark
    yield statement


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


class _Finder(ast.NodeVisitor):
    """Finds the changes of one module."""

    def __init__(self, module: str, source: str) -> None:
        self.tree = ast.parse(source)
        self.found: list[Change] = []
        self._module = module
        self._source = source
        self._lines = source.split("\n")
        self._data = source.encode()
        self._starts = [0]
        for line in self._data.split(b"\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._numbers = statements(self.tree)
        self._names: list[str] = []  # of the functions and classes around
        self._function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
        self._statement: int | None = None
        self._is_worded = False  # strings are for people

    # --- Where a change would be ----------------------------------------------------------

    def visit(self, node: ast.AST) -> None:
        if _is_docstring(node) or isinstance(node, (ast.Assert, ast.JoinedStr)):
            return
        if _is_log_call(node) or _is_for_types(node):
            return
        before = self._statement
        if isinstance(node, ast.stmt):
            self._statement = self._numbers.get(node, before)
        super().visit(node)
        self._statement = before

    def _visit_all(self, *nodes: ast.AST | None) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if (
            node.name in _WORDS
            or node.name.startswith(_CHECK)
            or any("overload" in ast.dump(d) for d in node.decorator_list)
        ):
            return
        outer = self._function
        self._names.append(node.name)
        self._visit_all(*node.args.defaults, *node.args.kw_defaults)  # no annotations
        self._function = node
        self._visit_all(*node.body)
        self._function = outer
        self._names.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            return
        outer, self._function = self._function, None
        self._names.append(node.name)
        self._visit_all(*node.body)
        self._names.pop()
        self._function = outer

    def visit_Raise(self, node: ast.Raise) -> None:
        self._remove(node)
        before, self._is_worded = self._is_worded, True
        self.generic_visit(node)
        self._is_worded = before

    # --- What it would be -----------------------------------------------------------------

    def visit_Compare(self, node: ast.Compare) -> None:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            pattern, text = _COMPARISONS[type(operator)]
            self._between("compare", left, right, pattern, text)
            left = right
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        sides = (node.left, node.right)
        known = type(node.op) in _ARITHMETIC and self._function is not None
        if known and not any(_is_sequence(side) for side in sides):
            self._between("arithmetic", *sides, *_ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in _ARITHMETIC and not _is_sequence(node.value):
            pattern, text = _ARITHMETIC[type(node.op)]
            self._between("arithmetic", node.target, node.value, pattern + "=", text + "=")
        if not isinstance(node.target, ast.Name):
            self._remove(node)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between("logic", left, right, rf"\b{word}\b", other)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call):
            if _is_log_call(value) or _name_of(value).startswith(_CHECK):
                return
            self._remove(node)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._remove(node)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(each, ast.Name) and each.id in _WORDS for each in node.targets):
            return
        places = (ast.Attribute, ast.Subscript)
        begins = self._function is not None and self._function.name in ("__init__", "__new__")
        if all(isinstance(each, places) for each in node.targets) and not begins:
            self._remove(node)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._visit_all(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        value = node.value
        if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
            returns = self._function.returns if self._function is not None else None
            is_bool = isinstance(returns, ast.Name) and returns.id == "bool"
            for text in ("True", "False") if is_bool else ("None",):
                self._replace("return", value, text)
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._replace("loop", node, "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._replace("loop", node, "break")

    def visit_Call(self, node: ast.Call) -> None:
        before = self._is_worded
        self._is_worded |= _name_of(node) in _WORDED
        self.generic_visit(node)
        self._is_worded = before

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not (isinstance(node.value, ast.Name) and node.value.id == "Literal"):
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._replace("boolean", node, str(not value))
        elif isinstance(value, int):
            self._replace("number", node, str(value + 1))
            if value > 0:
                self._replace("number", node, str(value - 1))
        elif isinstance(value, bytes) or (
            isinstance(value, str) and _NAME.fullmatch(value) and not self._is_worded
        ):
            start, end = self._place(node)
            quotes = 3 if self._data[start:end].endswith((b'"""', b"'''")) else 1
            self._add("text", end - quotes, end - quotes, "X")

    # --- How it is written ----------------------------------------------------------------

    def _negate(self, test: ast.expr) -> None:
        if isinstance(test, ast.Constant):
            return  # a boolean's change
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            swapped = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
            if isinstance(test.ops[0], swapped):
                return  # that is another comparison
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            start, _ = self._place(test)
            self._add("negate", start, start + len(b"not"), "")
            return
        start, end = self._place(test)
        self._add("negate", start, end, f"not ({self._data[start:end].decode()})")

    def _remove(self, node: ast.stmt) -> None:
        self._replace("remove", node, "pass")

    def _replace(self, operator: str, node: ast.expr | ast.stmt, text: str) -> None:
        start, end = self._place(node)
        if self._data[start:end].decode() != text:
            self._add(operator, start, end, text)

    def _between(
        self, operator: str, left: ast.expr, right: ast.expr, pattern: str, text: str
    ) -> None:
        """Replace the one word between two expressions that matches `pattern`."""
        start, end = self._place(left)[1], self._place(right)[0]
        gap = re.sub(rb"#[^\n]*", lambda m: b" " * len(m[0]), self._data[start:end])
        words = list(re.finditer(pattern.encode(), gap))
        if len(words) == 1:
            self._add(operator, start + words[0].start(), start + words[0].end(), text)

    def _place(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self._starts[node.lineno - 1] + node.col_offset,
            self._starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def _add(self, operator: str, start: int, end: int, text: str) -> None:
        line = self._data[:start].count(b"\n")
        change = Change(
            module=self._module,
            function=".".join(self._names),
            line=line + 1,
            operator=operator,
            before=self._lines[line].strip(),
            after="",
            number=1,
            statement=self._statement,
            start=start,
            end=end,
            text=text,
        )
        begin, over = self._starts[line], self._starts[line + 1]
        ends = self._data[end : max(end, over)] if end < over else b""
        after = (self._data[begin:start] + text.encode() + ends).decode().split("\n")[0].strip()
        self.found.append(replace(change, after=after))


def _name_of(call: ast.Call) -> str:
    name: str = getattr(call.func, "attr", getattr(call.func, "id", ""))
    return name


def _is_log_call(node: ast.AST) -> bool:
    """Whether it is a call of a logger's method, or a statement or condition that has one."""
    if isinstance(node, ast.If):
        return _is_log_call(node.test) and not node.orelse
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in _LOGS
    )


def _is_for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _is_sequence(node: ast.expr) -> bool:
    """Whether it is written as a text or a sequence, to which only + applies."""
    literal = isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
    return literal or isinstance(node, (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp))
