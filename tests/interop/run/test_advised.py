from __future__ import annotations

from pathlib import Path

from ..cells import blamed
from ..runs import deviation, run


def test_an_expected_failure_that_passes_is_judged_by_what_the_peer_is(tmp_path: Path) -> None:
    path = deviation(tmp_path, "echo.null")
    (cell,), broken = run(deviations=(path,))
    assert (cell.verdict, broken, cell.vanished) == ("failed", "", "")
    assert cell.reason.startswith("expected to fail, but passed; remove its entry: python (server)")
    path.write_text(f"{path.read_text('utf-8')}[recorded.python]\n", "utf-8")
    (cell,), _ = run(deviations=(path,))
    assert "the libraries of python are as they were when this was recorded" in cell.vanished
    assert blamed(cell).basis == "expectation"
