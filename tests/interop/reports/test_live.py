from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from interop.errors import TestbedError
from interop.records import VERDICTS
from interop.reports.live import Live

from .. import cells
from ..cells import cell, frame


@pytest.fixture
def live() -> Iterator[Live]:
    results = cells.results()
    with Live(results, total=3) as made:
        yield made


def got(live: Live, path: str) -> bytes:
    with urllib.request.urlopen(live.url + path) as response:
        found: bytes = response.read()
        return found


def told(live: Live) -> HTTPResponse:
    response: HTTPResponse = urllib.request.urlopen(live.url + "news", timeout=10)
    return response


def news(response: HTTPResponse) -> Any:
    line = response.readline()
    assert line.startswith(b"data: ")
    assert response.readline() == b"\n"
    return json.loads(line[6:])


def test_the_page_asks_for_its_data(live: Live) -> None:
    live.add(cell("failed", frames=[frame("server", "\ud800")], frames_total=1))
    assert b'<script type="text/plain" id="index"></script>' in got(live, "")
    assert b"Running: 1 cell not as expected so far" in got(live, "overview.html")
    assert b"Known at the end" in got(live, "overview.html")
    assert len(json.loads(got(live, "index.json"))["cells"]) == 1
    (found,) = json.loads(got(live, "evidence/echo.null")).values()
    assert found["rows"][0]["text"] == "text: \ud800"
    assert got(live, "evidence/no%20such") == b"{}"


def test_news_come_as_cells_end_and_the_run(live: Live) -> None:
    with told(live) as response:
        assert news(response) == {"done": 0, "total": 3, "ended": False}
        live.add(cell())
        assert news(response) == {"done": 1, "total": 3, "ended": False}
        live.end()
        assert news(response)["ended"]
        assert response.read() == b""
    assert b"The testbed failed: nothing ran" in got(live, "overview.html")


def test_of_several_runs_of_a_cell_a_red_one_stays(live: Live) -> None:
    for verdict in ("passed", "failed", "passed"):
        live.add(cell(verdict))
    assert json.loads(got(live, "index.json"))["cells"][0][3] == VERDICTS.index("failed")


def test_a_cell_that_turns_red_in_a_later_run_is_news(live: Live) -> None:
    live.add(cell("passed"))
    with told(live) as response:
        assert news(response)["done"] == 1
        live.add(cell("failed"))
        assert news(response) == {"done": 1, "total": 3, "ended": False}


def test_a_name_that_was_made_to_lead_here_is_refused(live: Live) -> None:
    connection = HTTPConnection("127.0.0.1", int(live.url.split(":")[2].strip("/")))
    connection.request("GET", "/index.json", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 403
    connection.close()


def test_nothing_else_is_served(live: Live) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        got(live, "etc/passwd")
    refused.value.close()


def test_a_port_that_is_taken_is_told(live: Live) -> None:
    port = int(live.url.split(":")[2].strip("/"))
    with pytest.raises(TestbedError, match=f"--serve: port {port}: "):
        Live(cells.results(), total=1, port=port)


def test_it_goes_on_until_interrupted(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float | None] = []

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading, "Event", Interrupted)
    live.wait()
    assert waited == [None]
