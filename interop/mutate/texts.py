"""The changes of peers in other languages, and of adapters: texts in a table.

Each entry of ``peers.toml`` replaces one piece of text in one file below ``interop/peers``. A piece
that is not there exactly once is an error, so that the table follows its sources.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..catalog import PEERS_DIR, Api, Peer, load_peers
from ..errors import TestbedError

__all__ = ["PEERS_FILE", "Text", "apply_text", "load_texts", "parse_texts"]

PEERS_FILE = Path(__file__).with_name("peers.toml")


@dataclass(frozen=True, slots=True)
class Text:
    """A change of one file.

    Attributes:
        file: below ``interop/peers``, with ``/``.
        line: where `before` begins.
        peer: the program that runs with the change: a file that peers share has one of them.
        apis: the rows and columns that it concerns, those of the peer's newest version.
        unseen: why no scenario can see it; empty for a change that one should see.
    """

    file: str
    line: int
    before: str
    after: str
    peer: Peer = field(hash=False)
    apis: Sequence[Api] = field(hash=False)
    unseen: str = ""

    @property
    def id(self) -> str:
        """A name that stays while the text does: no line number."""
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.file}: {before} -> {after or 'nothing'}"


def load_texts(path: Path = PEERS_FILE, directory: Path = PEERS_DIR) -> list[Text]:
    """Read the entries of a file.

    Raises:
        TestbedError: it is malformed, or an entry's text is not in its file exactly once.
    """
    try:
        return parse_texts(path.read_text("utf-8"), directory)
    except (OSError, ValueError, TestbedError) as exc:
        raise TestbedError(f"{path}: {exc}") from exc


def parse_texts(text: str, directory: Path = PEERS_DIR) -> list[Text]:
    """Return the entries that a text holds, for the peers in `directory`.

    Raises:
        TestbedError, ValueError: it is malformed.
    """
    data = tomllib.loads(text)
    tables = data.pop("change", [])
    if data or not isinstance(tables, list):
        raise TestbedError("holds something else than [[change]] tables")
    peers = load_peers(directory)
    found = [_entry(number, table, peers, directory) for number, table in enumerate(tables, 1)]
    if len({each.id for each in found}) < len(found):
        raise TestbedError("two entries are the same")
    return found


def apply_text(source: str, change: Text) -> str:
    """Return a file's source with the change made."""
    return source.replace(change.before, change.after)


def _entry(number: int, table: dict[str, Any], peers: dict[str, Peer], directory: Path) -> Text:
    where = f"change {number}"
    apis = table.pop("apis", None)
    texts = {key: table.pop(key, "") for key in ("file", "before", "after", "peer", "unseen")}
    if table or not all(isinstance(each, str) for each in (*texts.values(), *(apis or ()))):
        raise TestbedError(f"{where}: takes the texts {', '.join(texts)}, and the list apis")
    file, before = texts["file"], texts["before"]
    path = directory / file
    if not before or not path.is_file():
        raise TestbedError(f"{where}: needs 'before' and an existing 'file', not {file!r}")
    source = path.read_text("utf-8")
    if (count := source.count(before)) != 1:
        raise TestbedError(f"{where}: {file} has {before!r} {count} times, not once")
    if texts["after"] == before:
        raise TestbedError(f"{where}: changes nothing")
    peer = peers.get(texts["peer"] or file.partition("/")[0])
    if peer is None:
        raise TestbedError(f"{where}: {texts['peer'] or file!r} names no peer: needs 'peer'")
    return Text(
        file=file,
        line=source[: source.index(before)].count("\n") + 1,
        before=before,
        after=texts["after"],
        peer=peer,
        apis=_apis(where, peer, apis),
        unseen=texts["unseen"],
    )


def _apis(where: str, peer: Peer, names: Sequence[str] | None) -> list[Api]:
    newest = [api for api in peer.apis if not api.older]
    for name in names or ():
        if not any(api.name == name for api in newest):
            raise TestbedError(f"{where}: {peer.name} has no {name!r}")
    # dart-0.3 has a column that the peer `dart` supersedes: its older versions alone.
    return [api for api in newest if names is None or api.name in names]
