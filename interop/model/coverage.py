"""``docs/coverage.md``: what the scenarios look at, and where; what they do not, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .model import Capability, Gap, Look, Model, Place

__all__ = ["page"]

_HEAD = """\
# What the scenarios look at

A *capability* is what an implementation of zaptools can do: a way to send an event, a way to get \
one, a callback, a call, an option. A *condition* is what may break it: a kind of payload, a size, \
a connection that is not the first. Each capability under each condition is a place: a scenario \
looks at it (✓), or the number is that of the reason [below](#what-no-scenario-looks-at-and-why).

This page is made from `interop/scenarios/model.toml`, by `python -m interop model --write`. The \
model is held against what it speaks of: each operation, option and notification of \
[the contract](peer-contract.md) and each public name of a library has its capability; each \
scenario looks at some place, or at the wire below; and the records of a run of this library with \
itself have to show what the model claims. {places} places, {looked} looked at.
"""

_ROLES = (("server.", "Servers"), ("client.", "Clients"))


def page(model: Model) -> str:
    """Return the page, in Markdown."""
    reasons = _reasons(model)
    looked = sum(any(isinstance(e, Look) for e in es) for es in model.places.values())
    parts = [_HEAD.format(places=len(model.places), looked=looked)]
    parts += [_dimension(model, name, reasons) for name in model.dimension]
    parts.append(_gaps(reasons))
    parts.append(_looks(model))
    parts.append(_capabilities(model))
    if model.names:
        parts.append(_names(model))
    parts.append(_never(model))
    return "\n".join(parts)


def _reasons(model: Model) -> dict[str, int]:
    """Return each reason that a place has, with its number."""
    found: dict[str, int] = {}
    for entries in model.places.values():
        if (reason := _reason(entries)) is not None:
            found.setdefault(reason, len(found) + 1)
    return found


def _reason(entries: Sequence[Look | Gap]) -> str | None:
    """Return why nothing looks at a place: the last entry that says so, or None."""
    if any(isinstance(entry, Look) for entry in entries):
        return None
    return next((e.because for e in entries if isinstance(e, Gap)), "")


def _dimension(model: Model, name: str, reasons: dict[str, int]) -> str:
    dimension = model.dimension[name]
    values = [*dimension.values]
    lines = [f"## {name.capitalize()}: {dimension.what}\n"]
    lines += [f"- `{value}`: {means}" for value, means in dimension.values.items()]
    lines += ["", _row("", *values), _row(*["---"] * (len(values) + 1))]
    for capability, each in model.capability.items():
        if name in model.kind[each.kind].dimensions:
            marks = [_mark(model, (capability, f"{name}.{v}"), reasons) for v in values]
            lines.append(_row(f"`{capability}`", *marks))
    return "\n".join(lines) + "\n"


def _mark(model: Model, place: Place, reasons: dict[str, int]) -> str:
    reason = _reason(model.places[place])
    return "✓" if reason is None else str(reasons[reason]) if reason else "?"


def _gaps(reasons: dict[str, int]) -> str:
    lines = ["## What no scenario looks at, and why\n"]
    lines += [f"{number}. {reason}" for reason, number in reasons.items() if reason]
    return "\n".join(lines) + "\n"


def _looks(model: Model) -> str:
    lines = [
        "## Where each is looked at\n",
        _row("capability", "with", "scenarios"),
        _row(*["---"] * 3),
    ]
    for look in model.look:
        note = f"; not seen in records: {look.unseen}" if look.unseen else ""
        lines.append(_row(_codes(look.of), _codes(look.at), _codes(look.scenarios) + note))
    lines += ["", "On the wire alone:\n", _row("what", "scenarios"), _row(*["---"] * 2)]
    lines += [_row(what, _codes(globs)) for what, globs in model.below.items()]
    return "\n".join(lines) + "\n"


def _capabilities(model: Model) -> str:
    lines = ["## The capabilities, and the items of the contract that use them\n"]
    for kind, facts in model.kind.items():
        of_kind = {n: c for n, c in model.capability.items() if c.kind == kind}
        lines += [f"{facts.what}. {facts.without}".rstrip() + "\n"]
        lines += [_row("capability", "what", "used by"), _row(*["---"] * 3)]
        lines += [_row(f"`{n}`", c.what, _codes(_used_by(c))) for n, c in of_kind.items()]
        lines.append("")
    return "\n".join(lines)


def _used_by(capability: Capability) -> Iterable[str]:
    return capability.uses or ([f"a header {capability.header}"] if capability.header else [])


def _names(model: Model) -> str:
    lines = ["## The public names of the libraries\n"]
    for package in dict.fromkeys(entry.package for entry in model.names):
        lines += [_row(package, "looked at with"), _row(*["---"] * 2)]
        for entry in model.names:
            if entry.package == package:
                lines.append(_row(_codes(entry.names), _codes(entry.of) or f"not: {entry.because}"))
        lines.append("")
    return "\n".join(lines)


def _never(model: Model) -> str:
    lines = ["## Items of the contract that sound libraries never use\n"]
    lines += [f"- `{item}`: {reason}" for item, reason in model.never.items()]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
