"""The peer of the published package: ``zaptools`` from the registry, 0.5.2 or an older version.

It has the import name of this repository's library, so it runs in an environment of its own,
as a script: the repository is put at the end of the path, for the control shell alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT))

import zaptools  # noqa: E402 # after the path

if Path(zaptools.__file__).resolve().is_relative_to(ROOT / "zaptools"):
    raise SystemExit(f"not the published package: {zaptools.__file__}")

from client import ClientRole  # noqa: E402 # after the check
from generation import ZapClient  # noqa: E402 # after the check
from hosts import HOSTS  # noqa: E402 # after the check
from server import ServerRole  # noqa: E402 # after the check

from interop.peers._control import describe, main  # noqa: E402 # after the path


def _limits(message_bytes: int) -> dict[str, int | None]:
    return {
        "message_bytes": message_bytes,
        "ping_interval_s": 20,
        "ping_timeout_s": 20,
        "close_timeout_s": None,  # neither waits for the application's handlers
    }


class Session(ServerRole, ClientRole):
    """Both roles."""

    async def op_describe(self) -> dict[str, Any]:
        names = ("zaptools", "fastapi", "starlette", "uvicorn", "sanic", "websockets")
        return describe(
            "pypi",
            names,
            apis={"server": list(HOSTS), "client": ["ZapClient"] if ZapClient else []},
            # What uvicorn and websockets' client do by themselves.
            limits={"server": _limits(1 << 24), "client": _limits(1 << 20)},
        )


if __name__ == "__main__":
    main(Session)
