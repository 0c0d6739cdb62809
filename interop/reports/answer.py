"""The answer of a run in few words: a mark for each pair, the exceptions in plain use. Pure.

The terminal's grid and ``summary.md`` say the same, by what is here.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..catalog import JUDGE_IDS, JUDGES, peer_of, program_of
from ..records import CellResult, Role
from .causes import counted
from .pairs import Known, Pair, alone

__all__ = ["ALONE", "Answer", "Broken", "Exempt", "Missing", "joined", "missing", "sentence"]

ALONE = "alone"
"""The name of the row and the column of the judge: a side alone, with no implementation."""

_LETTERS = string.ascii_letters + "+"
"""The letters of exceptions; the last stands for all that follow."""

_MOST_NAMED = 2
"""The pairs of one reason that are named one by one."""


@dataclass(frozen=True, slots=True)
class Exempt:
    """What is excepted in plain use, in some of the pairs that work.

    Attributes:
        letter: what stands for it in the grid.
        role: the side that deviates.
        names: its programs, or single APIs where not all of a program's do.
        means: what an application sees of it, else the cause.
    """

    letter: str
    role: Role
    names: tuple[str, ...]
    means: str

    def __str__(self) -> str:
        return f"{', '.join(self.names)} ({self.role}): {self.means}"


@dataclass(frozen=True, slots=True)
class Broken:
    """Pairs that are broken for the same reason."""

    pairs: tuple[Pair, ...]
    reason: str

    @property
    def where(self) -> str:
        """The pairs, or how many they are, in words."""
        if len(self.pairs) <= _MOST_NAMED:
            return ", ".join(map(_called, self.pairs))
        servers = dict.fromkeys(pair.server for pair in self.pairs)
        clients = dict.fromkeys(pair.client for pair in self.pairs)
        if not JUDGE_IDS.isdisjoint(clients):
            return f"{counted(len(servers), 'server')} {ALONE}"
        if not JUDGE_IDS.isdisjoint(servers):
            return f"{counted(len(clients), 'client')} {ALONE}"
        if len(servers) == 1:
            return f"{next(iter(servers))} <-> {counted(len(clients), 'client')}"
        if len(clients) == 1:
            return f"{counted(len(servers), 'server')} <-> {next(iter(clients))}"
        return counted(len(self.pairs), "pair")


@dataclass(frozen=True, slots=True)
class Missing:
    """Rows and columns that did not run for want of one thing.

    Attributes:
        names: their programs.
        what: what is missing, and what to do about it.
        details: what was tried, and how it failed; empty where `what` says it all.
    """

    names: tuple[str, ...]
    what: str
    details: str

    def __str__(self) -> str:
        return f"{', '.join(self.names)}: {self.what}"


class Answer:
    """What there is to say of a run's pairs.

    Attributes:
        rows, columns: the servers and clients, `ALONE` last where the judge had cells.
        pairs: each pair by its row and column; with `ALONE` the verdict of one side with the judge.
        exempt: what is excepted in plain use, by servers, then by clients.
    """

    def __init__(self, found: Sequence[Pair], cells: Sequence[CellResult]) -> None:
        self._found = found
        self._cells = cells
        servers = dict.fromkeys([*(pair.server for pair in found), *_sides(cells, "server")])
        clients = dict.fromkeys([*(pair.client for pair in found), *_sides(cells, "client")])
        self.pairs = {(pair.server, pair.client): pair for pair in found}
        for server in servers:
            if (pair := alone(cells, server, "server")) is not None:
                self.pairs[server, ALONE] = pair
        for client in clients:
            if (pair := alone(cells, client, "client")) is not None:
                self.pairs[ALONE, client] = pair
        self.rows = [*servers, *([ALONE] if any(row == ALONE for row, _ in self.pairs) else [])]
        judged = any(column == ALONE for _, column in self.pairs)
        self.columns = [*clients, *([ALONE] if judged else [])]
        self._letters: dict[tuple[str, Role, str], str] = {}
        self.exempt = self._exempt()

    @property
    def sentence(self) -> str:
        """How many pairs work, and which sides are broken alone."""
        words = sentence(self._found, self._cells)
        red = [pair for place, pair in self.pairs.items() if ALONE in place]
        names = [_called(pair) for pair in red if pair.verdict == "broken"]
        return f"{words} Broken: {joined(names)}." if names else words

    @property
    def example(self) -> Pair | None:
        """A pair that works with named deviations, in plain use where one has such."""
        known = [pair for pair in self._found if pair.verdict == "deviates"]
        return max(known, key=lambda pair: len(self.letters(pair)), default=None)

    def legend(self) -> str:
        """Return what rows, columns and those marks mean that there are."""
        found = self.pairs.values()
        parts = ["servers down, clients across"]
        if any(pair.verdict == "works" for pair in found):
            parts.append("ok: works")
        if (known := self.example) is not None:
            letters = joined(self.letters(known))
            plain = f", in plain use only {letters}, see below" if letters else ""
            parts.append(f"{self.mark(known)}: {known.words}{plain}")
        if any(pair.verdict == "broken" for pair in found):
            parts.append("X: broken")
        if any(pair.partly for pair in found):
            parts.append("..: not all of plain use ran")
        if any(pair.verdict == "not run" and not pair.partly for pair in found):
            parts.append("-: not run")
        if ALONE in (*self.rows, *self.columns):
            parts.append(f"{ALONE}: the other side is the testbed itself")
        return "; ".join(parts)

    def mark(self, pair: Pair) -> str:
        """Return a pair's verdict in few characters.

        That is ``ok``, or ``~3ab`` for three named deviations of which `a` and `b` are in plain
        use; ``X`` for broken, ``-`` for not run, ``..`` for a pair of which only a part ran.
        """
        match pair.verdict:
            case "works":
                return "ok"
            case "deviates":
                return f"~{len(pair.deviations)}{''.join(self.letters(pair))}"
            case "broken":
                return "X"
            case "not run":
                return ".." if pair.partly else "-"

    def letters(self, pair: Pair) -> list[str]:
        """Return the letters of a pair's exceptions."""
        known = {_key(each) for each in pair.deviations if each.plain}
        return sorted(
            {self._letters[key] for key in known & set(self._letters)}, key=_LETTERS.index
        )

    def broken(self) -> list[Broken]:
        """Return the broken pairs, by what broke them: what concerns most pairs comes first."""
        reasons: dict[str, list[Pair]] = {}
        for pair in self.pairs.values():
            if pair.verdict == "broken":
                reasons.setdefault(pair.reason, []).append(pair)
        groups = [Broken(tuple(pairs), reason) for reason, pairs in reasons.items()]
        return sorted(groups, key=lambda group: -len(group.pairs))

    def _exempt(self) -> list[Exempt]:
        shown: dict[tuple[str, Role, str], list[str]] = {}
        for pair in self._found:
            for known in pair.deviations if pair.verdict == "deviates" else ():
                if known.plain:
                    role = known.excuse.role
                    api = pair.server if role == "server" else pair.client
                    shown.setdefault(_key(known), []).append(api)
        found = []
        places = {"server": self.rows, "client": self.columns}
        order = sorted(
            shown, key=lambda key: (key[1] == "client", places[key[1]].index(shown[key][0]))
        )
        for number, key in enumerate(order):
            (_, role, means), apis = key, shown[key]
            self._letters[key] = letter = _LETTERS[min(number, len(_LETTERS) - 1)]
            rows = places[role]
            found.append(Exempt(letter, role, tuple(_named(rows, apis)), means))
        return found


def joined(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def sentence(found: Iterable[Pair], cells: Sequence[CellResult]) -> str:
    """Return in one sentence how many pairs work."""
    counts = Counter(pair.verdict for pair in found)
    ran = counts.total() - counts["not run"]
    if not ran:
        return f"No pair ran plain use; {counted(len(cells), 'cell')} ran."
    broken, named, clean = counts["broken"], counts["deviates"], counts["works"]
    if broken:
        parts = [f"{broken} of {counted(ran, 'pair')} {_verb(broken, 'is', 'are')} broken"]
        if clean:
            parts.append(f"{clean} {_verb(clean, 'works', 'work')}")
        if named:
            parts.append(f"{named} {_verb(named, 'works', 'work')} with named deviations")
        return "; ".join(parts) + "."
    each = "The pair works" if ran == 1 else f"All {ran} pairs work"
    if not named:
        return f"{each}."
    if not clean:
        return f"{each}, with named deviations."
    return f"{each}: {clean} without deviations, {named} with named ones."


def missing(not_run: Mapping[str, str]) -> list[Missing]:
    """Return what the rows and columns that could not run are in want of, each thing once.

    The first line of a reason is what to do, the others are details.
    """
    wanting: dict[str, list[str]] = {}
    details: dict[str, str] = {}
    for name, reason in not_run.items():
        what, _, more = reason.partition("\n")
        wanting.setdefault(what, []).append(name)
        details.setdefault(what, more)
    return [
        Missing(tuple(dict.fromkeys(map(program_of, names))), what, details[what])
        for what, names in wanting.items()
    ]


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _key(known: Known) -> tuple[str, Role, str]:
    """Return what makes two deviations one for a reader: side, and what an application sees."""
    return peer_of(known.excuse.peer), known.excuse.role, known.means


def _called(pair: Pair) -> str:
    """Return a pair's name; that of one side where the other is the judge."""
    if pair.server in JUDGE_IDS:
        return f"{pair.client} {ALONE}"
    return (
        f"{pair.server} {ALONE}" if pair.client in JUDGE_IDS else f"{pair.server} <-> {pair.client}"
    )


def _named(rows: Iterable[str], apis: Container[str]) -> list[str]:
    """Return the programs of some APIs; of a program that has others too, the APIs."""
    programs: dict[str, list[str]] = {}
    for api in rows:
        programs.setdefault(program_of(api), []).append(api)
    names: list[str] = []
    for program, known in programs.items():
        concerned = [api for api in known if api in apis]
        names += [program] if len(concerned) == len(known) > 1 else concerned
    return names


def _sides(cells: Iterable[CellResult], role: Role) -> Iterator[str]:
    judge = JUDGES[role].id
    return (cell.api(role) for cell in cells if cell.api(role) != judge)
