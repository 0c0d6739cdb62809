"""Cells: their verdicts, their evidence, and what is never excused."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.catalog import Api

from .runs import deviation, fake, run


def test_a_cell_passes_with_its_evidence() -> None:
    ((cell,), broken) = run()
    assert (cell["verdict"], cell["reason"], broken) == ("passed", "", "")
    assert (cell["server"], cell["client"]) == ("python/ZapServer", "python/ZapConsumer")
    texts = [(f["author"], f["text"]) for f in cell["frames"] if f["kind"] == "text"]
    assert texts == [
        ("client", '{"eventName":"echo","payload":null,"headers":{}}'),
        ("server", '{"eventName":"echo","payload":null,"headers":{}}'),
    ]
    assert cell["notifications"]["server"][0] == {"on": "connected", "conn": "1"}
    assert cell["violations"] == []


def test_unsupported_is_a_verdict_of_its_own() -> None:
    ((cell,), _) = run(scenarios=("lifecycle.clean",))
    assert cell["verdict"] == "unsupported"
    assert "client python/ZapConsumer: " in cell["reason"]


def test_a_stale_deviation_fails(tmp_path: Path) -> None:
    ((cell,), _) = run(deviations=deviation(tmp_path, "echo.null"))
    assert cell["verdict"] == "failed"
    assert "expected to fail, but passed" in cell["reason"]
    assert "made up" in cell["reason"]


def test_a_failure_says_what_was_missing() -> None:
    other = Api("python", "client", "ZapSubscriber")
    ((cell,), _) = run(scenarios=("lifecycle.clean",), clients=(other,), patience=0.0)
    assert cell["verdict"] == "failed"
    assert "within 0 s" in cell["reason"]


def test_a_known_deviation_is_no_failure(tmp_path: Path) -> None:
    ((cell,), _) = run(commands=fake("deaf"), patience=0.05)
    assert cell["verdict"] == "failed"
    ((cell,), _) = run(commands=fake("deaf"), deviations=deviation(tmp_path, "echo.null"))
    assert cell["verdict"] == "deviating"
    assert cell["reason"].startswith("python (server): made up [seen: server python/ZapServer: no")


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("silent", "nothing to say"),
        ("dies", "the peer closed its control connection"),
        ("good", "python does not offer ZapServer as a server"),
    ],
)
def test_a_testbeds_failure_is_an_error_even_where_a_deviation_is_known(
    mode: str, says: str, tmp_path: Path
) -> None:
    known = deviation(tmp_path, "echo.null")
    ((cell,), _) = run(commands=fake(mode), deviations=known, logs=tmp_path)
    assert cell["verdict"] == "error"
    assert says in cell["reason"]
