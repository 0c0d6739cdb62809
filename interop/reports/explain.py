"""A pair in plain words: whether it works, what is excepted, what is unsupported. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..catalog import JUDGES, Api
from ..control.operations import asked_of
from ..records import OTHER, ROLES, CellResult, Requests, Role
from .causes import counted
from .pairs import Known, Pair, alone
from .results import is_red, shortened

__all__ = ["FEATURES", "Explanation", "Part", "Point", "explain", "in_words"]

FEATURES: Mapping[str, str] = {
    "ask": "requests to a client",
    "broadcast": "sending to all connections",
    "clean": "call that ends its streams",
    "close code": "close codes",
    "close reason": "close reasons",
    "close-me code": "close codes",
    "drop code": "close codes",
    "drop reason": "close reasons",
    "open all": "handler of all events",
    "open ca": "certificates that the application names",
    "open callbacks": "callbacks",
    "open close_timeout_s": "time that closing waits for a handler",
    "open headers": "headers of the handshake",
    "open message_bytes": "limit for the size of messages",
    "open offline": "keeping of events while it is offline",
    "open on_connect": "connected callback",
    "open on_disconnect": "disconnected callback",
    "open ping_interval_s": "pings of its own",
    "open ping_timeout_s": "time limit for the answers to its pings",
    "open protocols": "subprotocols",
    "open reconnect": "connecting again by itself",
    "open retry": "connecting again by itself",
    "request": "requests to the server",
    "rooms": "rooms",
    "send no-headers": "sending without headers",
    "serve all": "handler of all events",
    "serve close_timeout_s": "time that closing waits for a handler",
    "serve deflate": "compression",
    "serve message_bytes": "limit for the size of messages",
    "serve open_timeout_s": "time limit for handshakes",
    "serve origins": "check of the Origin",
    "serve ping_interval_s": "pings of its own",
    "serve ping_timeout_s": "time limit for the answers to its pings",
    "serve protocols": "subprotocols",
    "serve tls": "TLS of its own",
    "subscribe all": "handler of all events",
    "try-reconnect": "tryReConnect",
}
"""What a library lacks, by its names in ``peer.toml``, in the words of an application."""

_ARTICLES = ("A ", "An ", "The ", "All ", "Each ", "After ", "When ", "Once ")


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to know of a pair.

    Attributes:
        says: what it means for an application, as a sentence.
        role: the side that it is about; None where that is not known.
        cause: the cause in the implementation's source, where there is more to it than `says`.
        rules: the numbers of the specification's rules that are concerned.
        scenarios: those in which it shows.
    """

    says: str
    role: Role | None
    cause: str = ""
    rules: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    title: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A pair in words.

    Attributes:
        sentence: the whole of it, to be quoted alone.
        parts: the details, without those of which there are none.
    """

    sentence: str
    parts: tuple[Part, ...]


def explain(
    pair: Pair, cells: Iterable[CellResult], apis: Mapping[tuple[Role, str], Api]
) -> Explanation:
    """Explain a pair of a run.

    Args:
        cells: the run's cells.
        apis: those of the catalogue, by role and id, which say what they lack.
    """
    cells = list(cells)
    ours = [cell for cell in cells if (cell.server, cell.client) == (pair.server, pair.client)]
    plain = [known for known in pair.deviations if known.plain]
    others = [known for known in pair.deviations if not known.plain]
    parts = [
        Part("not as expected", tuple(_red(ours))),
        Part("exceptions in plain use", tuple(_known(plain, ours))),
        Part("other named deviations", tuple(_known(others, ours))),
    ]
    sentence = in_words(pair)
    lacking: list[Point] = []
    for role in ROLES:
        api = pair.server if role == "server" else pair.client
        judged = _alone(cells, api, role)
        lacking += _lacking(apis.get((role, api)), role, [*ours, *judged])
        if (side := alone(cells, api, role)) is not None:
            if side.verdict == "broken":
                sentence += f" Alone, {api} is not as expected: {side.reason}."
            points = (*_red(judged), *_known(side.deviations, judged))
            parts.append(Part(f"the {role} alone, {api}: {side.words}", points))
    parts.insert(3, Part("unsupported", tuple(lacking)))
    return Explanation(sentence, tuple(part for part in parts if part.points))


def in_words(pair: Pair) -> str:
    """Return the verdict of a pair as a sentence that needs no other."""
    plain = [known for known in pair.deviations if known.plain]
    both = f"{pair.client} works with {pair.server}"
    match pair.verdict:
        case "broken":
            return f"{pair.client} does not work with {pair.server}: {pair.reason}"
        case "not run":
            return f"Whether {both} is not known: {pair.reason}"
        case "works":
            return f"{both}, and nothing is known to deviate."
        case "deviates" if plain:
            means = dict.fromkeys(_within(known.means) for known in plain)
            return f"{both}, except: {'; '.join(means)}."
        case "deviates":
            count = counted(len(pair.deviations), "named deviation")
            return f"{both}: there is no exception in plain use, and beyond it {count}."


def _within(sentence: str) -> str:
    """Return a sentence as a part of another."""
    sentence = sentence.removesuffix(".")
    if sentence.startswith(_ARTICLES):
        return sentence[0].lower() + sentence[1:]
    return sentence


def _known(deviations: Iterable[Known], cells: Sequence[CellResult]) -> Iterable[Point]:
    for known in deviations:
        shown = [
            cell
            for cell in cells
            if cell.scenario in known.scenarios and cell.verdict == "deviating"
        ]
        excuse = known.excuse
        rule = Counter(cell.rule for cell in shown).most_common(1)
        broken = f"This does not hold: {rule[0][0]}" if rule else excuse.cause
        rules = dict.fromkeys(number for cell in shown for number in cell.rules)
        yield Point(
            excuse.means or broken, excuse.role, excuse.cause, tuple(rules), known.scenarios
        )


def _red(cells: Iterable[CellResult]) -> Iterable[Point]:
    for cell in cells:
        if is_red(cell):
            side = cell.culprit.side if cell.culprit is not None else "unknown"
            role = None if side == "unknown" else side
            reason = shortened(cell.reason)
            says = f"This does not hold: {cell.rule}"
            yield Point(says, role, reason, tuple(cell.rules), (cell.scenario,))


def _lacking(api: Api | None, role: Role, cells: Sequence[CellResult]) -> Iterable[Point]:
    """Yield what an API is declared to lack, each reason once, with the rules that it concerns."""
    reasons: dict[str, list[str]] = {}
    for feature, reason in (api.lacks if api is not None else {}).items():
        reasons.setdefault(reason, []).append(feature)
    asked = [
        (cell, _unsupported(cell.requests, role)) for cell in cells if cell.verdict == "unsupported"
    ]
    for reason, features in reasons.items():
        shown = [cell for cell, found in asked if found & set(features)]
        names = dict.fromkeys(FEATURES.get(feature, feature) for feature in features)
        rules = dict.fromkeys(number for cell in shown for number in cell.rules)
        scenarios = tuple(dict.fromkeys(cell.scenario for cell in shown))
        yield Point(f"No {', no '.join(names)}: {reason}.", role, "", tuple(rules), scenarios)


def _unsupported(requests: Requests | None, role: Role) -> frozenset[str]:
    """Return the features that a side's peer was asked for and said not to support."""
    if requests is None:
        return frozenset()
    lists = [requests.server] if role == "server" else requests.clients
    return frozenset().union(
        *(
            asked_of(each.op, each.args)
            for found in lists
            for each in found
            if each.outcome == "unsupported"
        )
    )


def _alone(cells: Iterable[CellResult], api: str, role: Role) -> list[CellResult]:
    judge = JUDGES[OTHER[role]].id
    return [cell for cell in cells if cell.api(role) == api and cell.api(OTHER[role]) == judge]
