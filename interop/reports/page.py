"""``report.html``: a run as one page that needs nothing else. Pure.

What a reader sees first is rendered here by jinja2, from the files in `html/`. Cells are shown by
`page.js` when they are asked for: their evidence is in the page, compressed, one block a scenario.
As base64 no text of a peer can end the element that holds it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup, escape

from ..catalog import JUDGE_IDS
from ..output import printable
from ..records import ROLES, VERDICTS, CellResult, Excuse, Role, encode
from ..spec.rules import quoted
from .answer import missing
from .causes import Blame, Cause, blames, counted, others, told
from .compatibility import compatibility
from .durations import slowest
from .evidence import evidence
from .explain import in_words
from .findings import answered, subject, verdict
from .hints import Hints
from .history import History, Run
from .kept import by_rule
from .pairs import MEANING, Pair, alone
from .provenance import commit_line, peer_lines, peer_words
from .results import Results, is_red, known_flaky, shortened
from .timeline import frame_words, gap_words

__all__ = ["Page"]

_FILES = Path(__file__).parent / "html"
_SHOWN_CELLS = 40
"""The cells of a cause that are listed."""


class Page:
    """The page of a run, whole or in parts.

    Args:
        found: the verdicts of its pairs.
        changed: what changed in the runs before, of which this run is the last one.
        running: whether the run goes on: which side is at fault is known at its end.
    """

    def __init__(
        self,
        results: Results,
        found: Sequence[Pair],
        changed: History | None = None,
        *,
        running: bool = False,
    ) -> None:
        self._running = running
        self._results = results
        self._pairs = found
        self._changed = changed if changed is not None else History()
        self._hints = Hints(results.cells, results.options, results.folder)
        self._scenarios: dict[str, list[CellResult]] = {}
        for cell in results.cells:
            self._scenarios.setdefault(cell.scenario, []).append(cell)
        self._blames = blames(cell for cell in results.cells if is_red(cell))

    def whole(self) -> bytes:
        """Return all of it, as a file."""
        blocks = [_packed(self.block(name)) for name in self._scenarios]
        return self._render("page.html", index=_packed(self.index()), blocks=blocks).encode()

    def live(self) -> bytes:
        """Return it without its data, which it asks the server for."""
        return self._render("page.html", index="", blocks=[]).encode()

    def overview(self) -> str:
        """Return the part that is rendered here, as HTML."""
        return self._render("overview.html")

    def block(self, scenario: str) -> dict[str, Any]:
        """Return the evidence of one scenario's cells, by ``server client``."""
        cells = self._scenarios.get(scenario, [])
        return {f"{c.server} {c.client}": evidence(c, cells, self._hints) for c in cells}

    def index(self) -> dict[str, Any]:
        """Return what is known of all cells without their evidence."""
        results = self._results
        numbers = {name: number for number, name in enumerate(self._scenarios)}
        servers = {name: number for number, name in enumerate(results.servers)}
        clients = {name: number for number, name in enumerate(results.clients)}
        of_cause = {
            cell.key: number
            for number, cause in enumerate(
                cause for blame in self._blames for cause in blame.causes
            )
            for cell in cause.cells
        }
        reasons = {reason: n for n, reason in enumerate({c.reason: None for c in results.cells})}
        shown = [*self._pairs, *filter(None, self._alone("server").values())]
        shown += filter(None, self._alone("client").values())
        return {
            "outside": subject(results) if results.engine == "check" else "",
            "servers": results.servers,
            "clients": results.clients,
            "verdicts": VERDICTS,
            "scenarios": [
                {
                    "id": name,
                    "rule": cells[0].rule,
                    "severity": cells[0].severity,
                    "quoted": quoted(cells[0].rules),
                }
                for name, cells in self._scenarios.items()
            ],
            "reasons": list(reasons),
            "cells": [
                (
                    servers[cell.server],
                    clients[cell.client],
                    numbers[cell.scenario],
                    VERDICTS.index(cell.verdict),
                    reasons[cell.reason],
                    cell.culprit.side if cell.culprit is not None and is_red(cell) else "",
                    of_cause.get(cell.key, -1),
                )
                for cell in results.cells
            ],
            "pairs": {f"{pair.server} {pair.client}": _pair(pair) for pair in shown},
            "peers": {api: peer_words(peer) for api, peer in results.peers.items()},
            "history": {
                "runs": [_run(run) for run in self._changed.runs],
                "pairs": self._changed.pairs,
                "cells": self._changed.cells,
            },
        }

    def _render(self, template: str, **more: Any) -> str:
        results = self._results
        rows = list(dict.fromkeys(pair.server for pair in self._pairs))
        columns = list(dict.fromkeys(pair.client for pair in self._pairs))
        return (
            _templates()
            .get_template(template)
            .render(
                results=results,
                state=_state(results, self._blames, self._running),
                running=self._running,
                outside=results.engine == "check",
                topics=_topics(results.cells),
                answer=_answer(results, self._pairs),
                counts={verdict: n for verdict, n in results.counts.items() if n},
                meaning=MEANING,
                blames=[_blame(blame, self._hints) for blame in self._blames],
                rows=rows or [name for name in results.servers if name not in JUDGE_IDS],
                columns=columns or [name for name in results.clients if name not in JUDGE_IDS],
                pairs={(pair.server, pair.client): pair for pair in self._pairs},
                alone={role: self._alone(role) for role in ROLES},
                not_run=missing(results.not_run),
                known_flaky=known_flaky,
                versions=compatibility(results.cells),
                deviations=_deviations(results.cells),
                rules=by_rule(results.cells),
                slowest=slowest(results.cells),
                changes=_changes(self._changed),
                ran=[commit_line(results.commit, results.testbed), *peer_lines(results.peers)],
                **more,
            )
        )

    def _alone(self, role: Role) -> dict[str, Pair | None]:
        names = self._results.servers if role == "server" else self._results.clients
        return {
            name: alone(self._results.cells, name, role) for name in names if name not in JUDGE_IDS
        }


@cache
def _templates() -> jinja2.Environment:
    """Return the templates: what is put into one is escaped, unprintable characters too."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FILES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_final,
    )
    style, script = ((_FILES / name).read_text("utf-8") for name in ("page.css", "page.js"))
    digests = {name: _digest(text) for name, text in (("style", style), ("script", script))}
    found.globals.update(
        style=Markup(style),
        script=Markup(script),
        digests=digests,
        link=_link,
        about=_about,
        search=_search,
        counted=counted,
    )
    found.filters["thousands"] = lambda number: f"{number:,}"
    found.filters["code"] = _code
    found.filters["breakable"] = _breakable
    return found


def _final(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value


def _code(text: str) -> Markup:
    """Return a rule's text, in which what stands in backquotes is code."""
    parts = escape(printable(text)).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


def _breakable(name: str) -> Markup:
    """Return a name that may go on in another line before each of its words, on a phone."""
    return Markup('<wbr class="word">').join(re.split("(?<=[a-z])(?=[A-Z])", printable(name)))


def _digest(text: str) -> str:
    """Return a source of the page's Content-Security-Policy: only this text may run, or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _packed(data: Mapping[str, Any]) -> str:
    """Return data as the page's script reads it: JSON, gzip, base64."""
    return base64.b64encode(gzip.compress(encode(data), 6, mtime=0)).decode("ascii")


def _link(server: str, client: str, scenario: str = "") -> str:
    """Return the fragment of a pair, or of a cell."""
    where = {"s": server, "c": client, "n": scenario} if scenario else {"s": server, "c": client}
    return "#" + urlencode(where, errors="replace")


def _about(number: str) -> str:
    """Return the fragment of the cells that a rule is about: the filter on its number."""
    return _search(f"{number}:")


def _search(text: str) -> str:
    """Return the fragment of the cells with this text: the filter on it."""
    return "#" + urlencode({"q": text})


def _run(run: Run) -> str:
    """Return when a run was, and of which commit."""
    when = run.started[:16].replace("T", " ")
    if run.commit is None:
        return when
    return f"{when}, commit {run.commit.id[:12]}{' and changes' if run.commit.dirty else ''}"


def _changes(found: History) -> dict[str, Any] | None:
    """Return what changed since the run before; None where there is no such run."""
    if len(found.runs) < 2:
        return None
    last = len(found.runs) - 1
    pairs_ = [
        {"where": where.split(" "), "old": states[-2].verdict, "new": states[-1].verdict}
        for where, states in found.pairs.items()
        if states[-1].run == last
    ]
    cells: list[dict[str, Any]] = []
    wire = 0
    for where, names in found.cells.items():
        for name, states in names.items():
            if states[-1].run != last:
                continue
            if states[-1].verdict == states[-2].verdict:
                wire += 1
            else:
                place = [*where.split(" "), name]
                cells.append({"where": place, "old": states[-2].verdict, "new": states[-1].verdict})
    return {
        "before": _run(found.runs[-2]),
        "pairs": pairs_,
        "cells": cells[:_SHOWN_CELLS],
        "more": max(len(cells) - _SHOWN_CELLS, 0),
        "wire": wire,
    }


def _answer(results: Results, found: Sequence[Pair]) -> str:
    if results.answer or results.engine != "check":
        return answered(results, found)
    words = verdict(results)  # of what the page names above it
    return words[0].upper() + words[1:]


def _topics(cells: Iterable[CellResult]) -> dict[str, Counter[str]]:
    """Return how many cells of each topic have each verdict."""
    found: dict[str, Counter[str]] = {}
    for cell in cells:
        found.setdefault(cell.scenario.partition(".")[0], Counter())[cell.verdict] += 1
    return found


def _judged_state(results: Results) -> dict[str, str]:
    """Return the state of what was judged from outside: its name; the answer says the rest."""
    kind, mark = {0: ("green", "✓"), 1: ("red", "✗"), 2: ("error", "!")}[results.exit_status]
    return {"kind": kind, "mark": mark, "words": subject(results)}


def _state(results: Results, found: Sequence[Blame], running: bool) -> dict[str, str]:
    if results.engine == "check":
        return _judged_state(results)
    red = [cell for cell in results.cells if is_red(cell) and cell.verdict != "warned"]
    if running:
        words = f"Running: {counted(len(red), 'cell')} not as expected so far"
        return {"kind": "red" if red else "green", "mark": "…", "words": words}
    if results.exit_status == 2:
        why = results.broken or ("" if results.cells else "nothing ran")
        words = why or f"{counted(len(red), 'cell')} not as expected, with errors of the testbed"
        return {"kind": "error", "mark": "!", "words": f"The testbed failed: {words}"}
    if red:
        names = [blame.culprit for blame in found if blame.causes[0].side in ROLES]
        fault = f"; at fault: {', '.join(names)}" if names else ""
        words = f"{counted(len(red), 'cell')} not as expected{fault}"
        return {"kind": "red", "mark": "✗", "words": words}
    if results.over:
        words = f"{len(results.over)} known to be flaky for longer than was allowed"
        return {"kind": "red", "mark": "✗", "words": words}
    return {"kind": "green", "mark": "✓", "words": "All as expected"}


def _blame(blame: Blame, hints: Hints) -> dict[str, Any]:
    return {
        "culprit": blame.culprit,
        "size": blame.size,
        "is_should": blame.is_should,
        "causes": [_cause(cause, hints) for cause in blame.causes],
    }


def _cause(cause: Cause, hints: Hints) -> dict[str, Any]:
    cell = cause.example
    error = told(cell)
    seen = cell.raised or cell.reason
    found: dict[str, Any] = {
        "words": cause.words,
        "is_should": cause.is_should,
        "cell": cell,
        "why": cell.culprit.why if cell.culprit is not None else "",
        "reason": shortened(seen, 400),
        "unexcused": shortened(cell.reason.removeprefix(seen).strip(" []"), 400),
        "told": str(error) if error is not None and error.message not in cell.reason else "",
        "frame": "",
        "missing": next(map(gap_words, cell.missing), None),
        "quoted": quoted(cell.broken),
        "again": hints.again(cell),
        "also": others(cause, 8),
        "cells": cause.cells[1 : _SHOWN_CELLS + 1],
        "more": max(len(cause.cells) - 1 - _SHOWN_CELLS, 0),
    }
    blame = cell.culprit
    if blame is not None and blame.frame is not None and blame.frame < len(cell.frames):
        frame = cell.frames[blame.frame]
        what = "" if frame.author == blame.side else "Read wrongly, or left unanswered: "
        found["frame"] = f"{what}Frame {blame.frame}, {frame.author} → {frame.to}"
        found["text"] = shortened(frame_words(frame)[0], 400)
    return found


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "verdict": pair.verdict,
        "words": pair.words,
        "sentence": "" if {pair.server, pair.client} & JUDGE_IDS else in_words(pair),
        "cell": pair.cell.scenario if pair.cell is not None else "",
        "deviations": [
            {
                "means": known.excuse.means,
                "cause": str(known.excuse),
                "scenarios": known.scenarios,
                "plain": known.plain,
            }
            for known in pair.deviations
        ],
    }


def _deviations(cells: Iterable[CellResult]) -> list[tuple[Excuse, int]]:
    """Return the known deviations that showed, and in how many cells each did."""
    found = Counter(
        excuse for cell in cells if cell.verdict == "deviating" for excuse in cell.excuses
    )
    return found.most_common()
