"""How implementations write what may be written in more than one way. Pure, but for reading files.

A message may leave its headers out, write them as null or as ``{}``, order its keys, and escape its
text, as it likes: each form is legal, and some reader fails at each. What an implementation has
always written is no fault of its own; what it alone writes, or writes for the first time, is. The
recorded vectors say what each of them has written so far.
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..catalog import peer_of
from ..records import Role
from ..wire.diff import canonical
from ..wire.vectors import Vectors, load

__all__ = ["Forms", "recorded_forms"]

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ESCAPED = re.compile(r"\\u(?:00[89a-f]|0[1-9a-f]|[1-9a-f])", re.IGNORECASE)
"""The escape of a character beyond ASCII."""

_MEMBERS = ("eventName", "payload", "headers")

_Form = Mapping[str, str]
"""Of each choice that a message makes, what it chose."""


class Forms:
    """The forms that are known of each implementation.

    Args:
        vectors: what each of them wrote.
    """

    def __init__(self, vectors: Iterable[Vectors]) -> None:
        # By role and API, then by scenario.
        self._known: dict[tuple[str, str], dict[str, list[_Form]]] = {}
        self._texts: dict[tuple[str, str], dict[str, set[str]]] = {}
        for each in vectors:
            self._texts[each.role, each.api] = {
                scenario: {canonical(text) for text in texts}
                for scenario, texts in each.texts.items()
            }
            self._known[each.role, each.api] = {
                scenario: [_form(text) for text in texts] for scenario, texts in each.texts.items()
            }

    def has(self, role: Role, api: str, scenario: str, text: str) -> bool:
        """Whether `api` is known to write this text in a scenario."""
        return canonical(text) in self._texts.get((role, api), {}).get(scenario, ())

    def odd(self, role: Role, api: str, scenario: str, text: str) -> str:
        """Say in which form `text` is that `api` has never used; empty if in none.

        Of an implementation that is not known, it is one that fewer than half of the others use.
        They are compared in the same scenario where that is known, else in all.
        """
        own = self._known.get((role, api))
        for choice, chose in _form(text).items():
            if own is not None:
                usual = _chosen(own, scenario, choice)
                if usual and chose not in usual:
                    return f"{choice} {chose}, where it wrote {' or '.join(sorted(usual))} before"
            elif (most := self._most(role, scenario, choice)) and chose not in most:
                return f"{choice} {chose}, where others write {' or '.join(sorted(most))}"
        return ""

    def _most(self, role: Role, scenario: str, choice: str) -> set[str]:
        """Return what at least half of the peers chose, of those that had the choice."""
        peers: dict[str, set[str]] = {}
        for (at, api), known in self._known.items():
            if at == role and (chosen := _chosen(known, scenario, choice)):
                peers.setdefault(peer_of(api), set()).update(chosen)
        counts = Counter(chose for chosen in peers.values() for chose in chosen)
        return {chose for chose, count in counts.items() if 2 * count >= len(peers)}


@functools.cache
def recorded_forms() -> Forms:
    """Return the forms of the recorded vectors; they are read once."""
    return Forms(load())


def _chosen(known: Mapping[str, Iterable[_Form]], scenario: str, choice: str) -> set[str]:
    here = {form[choice] for form in known.get(scenario, ()) if choice in form}
    return here or {form[choice] for forms in known.values() for form in forms if choice in form}


def _form(text: str) -> _Form:
    """Return the choices of a message; none if it is no JSON object."""
    try:
        message: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(message, dict):
        return {}
    found = {}
    if not message.get("headers"):
        found["empty headers"] = _written(message, "headers")
    if message.get("payload") is None:
        found["a null payload"] = _written(message, "payload")
    keys = [key for key in message if key in _MEMBERS]
    found[f"the order of {len(keys)} keys as"] = ", ".join(keys)
    if more := sorted(message.keys() - set(_MEMBERS)):
        found["more members:"] = ", ".join(more)
    else:
        found["more members:"] = "none"
    if not text.isascii() or _ESCAPED.search(text):
        found["text beyond ASCII"] = "escaped" if text.isascii() else "as it is"
    outside = _STRING.sub("", text)
    if "," in outside or ":" in outside:
        found["white space:"] = "some" if re.search(r"\s", outside) else "none"
    return found


def _written(message: Mapping[str, Any], key: str) -> str:
    return json.dumps(message[key]) if key in message else "absent"
