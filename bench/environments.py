"""Where each peer runs: this environment, or one that is made for it below ``.cache/bench``."""

from __future__ import annotations

import sys
from pathlib import Path

from interop.catalog import Peer as Environment
from interop.errors import CannotRun
from interop.runtimes.prepare import Preparer

from .catalog import Peer
from .errors import MeasureError

__all__ = ["Environments"]

ROOT = Path(__file__).resolve().parents[1]
_HERE = Path(__file__).resolve().parent


class Environments:
    """Makes environments, each once."""

    def __init__(self, cache: Path = ROOT / ".cache" / "bench") -> None:
        self._preparer = Preparer(cache=cache)
        self._made: dict[str, str | MeasureError] = {}

    def command(self, peer: Peer) -> tuple[list[str], dict[str, str]]:
        """Return what starts `peer`, and the environment variables that it needs.

        Raises:
            MeasureError: its environment cannot be made; it is not tried a second time.
        """
        program = str(_HERE / "peers" / peer.program)
        if peer.environment is None:
            return [sys.executable, program], {}
        python = self._python(peer.environment)
        if peer.environment == "published":
            # A PYTHONPATH that leads to this repository must not hide the published package.
            return [python, "-E", program], {}
        return [python, program], {"PYTHONPATH": str(ROOT)}

    def _python(self, name: str) -> str:
        if name not in self._made:
            folder = _HERE / "environments" / name
            environment = Environment(name, "python", "venv", "", folder, ())
            try:
                self._made[name] = self._preparer.command(environment)[0]
            except CannotRun as exc:
                self._made[name] = MeasureError(str(exc))
        made = self._made[name]
        if isinstance(made, MeasureError):
            raise made
        return made
