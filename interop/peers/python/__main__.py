"""The peer of this repository's library: ``python -m interop.peers.python --listen HOST:PORT``."""

from __future__ import annotations

from interop.peers._control import main
from interop.peers.python.session import Session

main(Session)
