"""The negative control: ``python -m interop.peers.mutant --listen HOST:PORT``."""

from __future__ import annotations

from interop.peers._control import main
from interop.peers.mutant.session import Session

main(Session)
