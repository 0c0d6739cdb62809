#!/usr/bin/env python3
"""compare_results.py LOCAL CONTAINERS PEER…: compares two results.json.

compare_results.py --docker LOCAL DOCKER: compares the cells of DOCKER alone, a part of the matrix,
and leaves out those of engine.*, which no other engine has.

Exit status 0 when both hold at least one cell for each pair of the peers named, and the same
verdict in every cell; else 1, after saying what differs.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

PEERS = Path(__file__).resolve().parents[1] / "interop" / "peers"

Cell = tuple[str, str, str]


def cells(path: Path) -> dict[Cell, str]:
    found = json.loads(path.read_text("utf-8"))["cells"]
    return {(c["server"], c["client"], c["scenario"]): c["verdict"] for c in found}


def peer(api: str) -> str:
    """``dart@0.5.0/ZapConsumer`` → ``dart``."""
    return api.partition("/")[0].partition("@")[0]


def roles(peer: str) -> set[str]:
    text = (PEERS / peer / "peer.toml").read_text("utf-8")
    return {api["role"] for api in tomllib.loads(text)["api"]}


def problems(local: dict[Cell, str], containers: dict[Cell, str], peers: list[str]) -> list[str]:
    found = []
    for where, results in ("local", local), ("containers", containers):
        pairs = {(peer(server), peer(client)) for server, client, _ in results}
        found += [
            f"{where}: no cell with server {server} and client {client}"
            for server in peers
            for client in peers
            if "server" in roles(server) and "client" in roles(client)
            if (server, client) not in pairs
        ]
    for cell in sorted({*local, *containers}):
        if peer(cell[0]) in peers and peer(cell[1]) in peers:
            here, there = local.get(cell, "no cell"), containers.get(cell, "no cell")
            if here != there:
                found.append(f"{' / '.join(cell)}: local {here}, in containers {there}")
    return found


def part(local: dict[Cell, str], docker: dict[Cell, str]) -> list[str]:
    shared = {cell: verdict for cell, verdict in docker.items() if cell[2][:7] != "engine."}
    faults = sum(verdict == "passed" for cell, verdict in docker.items() if cell not in shared)
    return [
        *([] if shared else ["no cell to compare"]),
        *([] if faults else ["no scenario engine.* passed"]),
        *(
            f"{' / '.join(cell)}: local {local.get(cell, 'no cell')}, docker {verdict}"
            for cell, verdict in sorted(shared.items())
            if local.get(cell) != verdict
        ),
    ]


def main() -> int:
    if sys.argv[1] == "--docker":
        local, docker = (cells(Path(argument)) for argument in sys.argv[2:4])
        found = part(local, docker)
        sys.stdout.write("\n".join([f"{len(docker)} cells in docker", *found]) + "\n")
        return bool(found)
    local, containers = (cells(Path(argument)) for argument in sys.argv[1:3])
    found = problems(local, containers, sys.argv[3:])
    lines = [f"{len(local)} cells local, {len(containers)} in containers", *found]
    sys.stdout.write("\n".join(lines) + "\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
