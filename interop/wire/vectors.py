"""Wire text of every version of every peer, recorded from runs and kept in ``vectors/``.

A change of a codec can be checked against them without any peer, as
`tests/interop/wire/test_vectors.py` does with this repository's. A file holds what one API wrote
in `SCENARIOS`, whose texts do not depend on chance, always with the same partner.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import TestbedError
from ..places import PACKAGE
from ..records import OTHER, ROLES, CellResult

__all__ = ["PARTNERS", "SCENARIOS", "VECTORS_DIR", "Vectors", "load", "record", "write"]

VECTORS_DIR = PACKAGE / "vectors"

SCENARIOS = ("echo.*", "events.*", "headers.*", "payload.*")

PARTNERS = {"server": "python/ZapConsumer", "client": "python/ZapServer"}
"""For each role, the API on the other side of the recorded cells."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """The texts of one API: `texts` maps a scenario's id to its text messages, each once."""

    api: str
    role: str
    texts: Mapping[str, list[str]]

    @property
    def file_name(self) -> str:
        return f"{self.api.replace('/', '-')}.{self.role}.json"


def record(cells: Iterable[CellResult]) -> list[Vectors]:
    """Return the vectors in a run's cells, without texts that the results cut short.

    Raises:
        TestbedError: no cell has any: the run lacked the partners, or the scenarios.
    """
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for cell in cells:
        if not any(fnmatchcase(cell.scenario, pattern) for pattern in SCENARIOS):
            continue
        for role in ROLES:
            if cell.api(OTHER[role]) == PARTNERS[role]:
                texts = dict.fromkeys(_texts(cell, role))
                if texts:
                    found.setdefault((cell.api(role), role), {})[cell.scenario] = list(texts)
    if not found:
        partners = " and ".join(PARTNERS.values())
        raise TestbedError(f"no text to record: that needs cells with {partners}")
    return [Vectors(api, role, dict(sorted(t.items()))) for (api, role), t in sorted(found.items())]


def _texts(cell: CellResult, author: str) -> Iterator[str]:
    for frame in cell.frames:
        text = frame.text
        whole = len(text.encode("utf-8", "surrogatepass")) == frame.length
        if frame.author == author and frame.kind == "text" and whole:
            yield text


def write(vectors: Iterable[Vectors], directory: Path = VECTORS_DIR) -> list[Path]:
    """Write a file for each API, replacing its earlier one."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for each in vectors:
        data = {"api": each.api, "role": each.role, "texts": each.texts}
        path = directory / each.file_name
        path.write_text(json.dumps(data, ensure_ascii=True, indent=1) + "\n", "utf-8")
        paths.append(path)
    return paths


def load(directory: Path = VECTORS_DIR) -> list[Vectors]:
    """Read all recorded vectors.

    Raises:
        TestbedError: a file has another form; names it.
    """
    found = []
    for path in sorted(directory.glob("*.json")):
        try:
            data = json.loads(path.read_text("utf-8"))
            found.append(Vectors(data["api"], data["role"], data["texts"]))
        except (ValueError, KeyError, TypeError) as exc:
            raise TestbedError(f"{path}: not recorded vectors ({exc!r})") from exc
    return found
