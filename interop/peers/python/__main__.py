"""The peer of this repository's library: ``python -m interop.peers.python --listen HOST:PORT``."""

from __future__ import annotations

import sys

from interop.peers._control import main
from interop.peers.python.session import Session

if "--exit-with-stdin" not in sys.argv:
    # Many workers share this process: no cell must wait for another cell's import.
    from interop.peers.python import aiohttp_host, asgi_hosts, sanic_host  # noqa: F401 # for later

main(Session)
