"""A run's page while the run goes on: served on this machine alone, filled in as cells end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from ..errors import TestbedError
from ..records import CellResult, encode
from .files import judged_pairs
from .page import Page
from .results import Results, is_red

__all__ = ["Live"]

_HOST = "127.0.0.1"
_PAUSE = 1.0
"""The least seconds between two news of one page."""

_SHARE = 0.1
"""The share of the time that may go into rendering: it is taken from the run."""


class Live:
    """Serves the page of a run; a context manager around the run and the time after it.

    Args:
        results: the run's; its cells are taken from there once it has ended.
        total: how many cells there will be.
        port: 0 for any that is free.

    Raises:
        TestbedError: the port cannot be had.
    """

    def __init__(self, results: Results, total: int, port: int = 0) -> None:
        self._results = results
        self._total = total
        self._cells: dict[tuple[str, str, str], CellResult] = {}
        self._ended = False
        self._version = 0  # how often what is above changed
        self._news = threading.Condition()  # held to read or write what is above
        self._page: Page | None = None  # of the cells that there are; None when there are more
        self._pause = _PAUSE
        try:
            self._server = _Server((_HOST, port), _handler(self))
        except OSError as exc:
            raise TestbedError(f"--serve: port {port}: {exc.strerror}") from exc

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self._server.server_port}/"

    def __enter__(self) -> Live:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, cell: CellResult) -> None:
        """Take a cell that has ended; of several runs of it, a red one stays."""
        with self._news:
            known = self._cells.get(cell.key)
            if known is None or not is_red(known):
                self._cells[cell.key] = cell
                self._changed()

    def end(self) -> None:
        """Show the results as they are at the run's end."""
        with self._news:
            self._ended = True
            self._changed()

    def wait(self) -> None:
        """Go on serving until Ctrl-C."""
        with suppress(KeyboardInterrupt):
            threading.Event().wait()

    def page(self) -> Page:
        """Return the page of what there is."""
        with self._news:
            if self._page is None:
                results = self._results
                if not self._ended:
                    results = replace(results, cells=list(self._cells.values()))
                self._page = Page(results, judged_pairs(results), running=not self._ended)
            return self._page

    def news(self, seen: int) -> tuple[int, dict[str, Any]]:
        """Wait until there is something that a page has not seen, and return it."""
        with self._news:
            self._news.wait_for(lambda: self._version > seen)
            done = len(self._results.cells) if self._ended else len(self._cells)
            return self._version, {"done": done, "total": self._total, "ended": self._ended}

    def _changed(self) -> None:
        self._version += 1
        self._page = None
        self._news.notify_all()

    def timed(self, render: Callable[[], bytes]) -> bytes:
        """Render a part, and let the pauses be long enough that it costs the run little."""
        began = time.monotonic()
        made = render()
        self._pause = max(_PAUSE, (time.monotonic() - began) / _SHARE)
        return made

    def rest(self) -> None:
        """Wait before the next news, but for the run's end, which is told at once."""
        with self._news:
            self._news.wait_for(lambda: self._ended, self._pause)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser may go at any time."""


def _handler(live: Live) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A page of elsewhere, whose name was made to lead here, must not read a run's results.
            if self.headers.get("Host") != live.url.split("/")[2]:
                self.send_error(HTTPStatus.FORBIDDEN)
            elif self.path == "/":
                self._send("text/html", live.page().live())
            elif self.path == "/overview.html":
                self._send("text/html", live.timed(lambda: live.page().overview().encode()))
            elif self.path == "/index.json":
                self._send("application/json", encode(live.page().index()))
            elif self.path.startswith("/evidence/"):
                name = unquote(self.path.removeprefix("/evidence/"))
                self._send("application/json", encode(live.page().block(name)))
            elif self.path == "/news":
                self._tell()
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _send(self, kind: str, data: bytes) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(data)

        def _tell(self) -> None:
            """Send news as they come, until the run has ended or the browser has gone."""
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            seen, ended = -1, False
            while not ended:
                seen, news = live.news(seen)
                self.wfile.write(f"data: {json.dumps(news)}\n\n".encode())
                self.wfile.flush()
                ended = news["ended"]
                live.rest()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: stderr is the run's."""

    return Handler
