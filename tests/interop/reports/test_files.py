from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from interop.errors import TestbedError
from interop.records import Commit, Excuse, PeerRecord
from interop.reports.compatibility import PLAIN
from interop.reports.files import junit, summary, write_reports

from ..cells import cell, flaky, results

EXCUSE = Excuse("dart", "server", "its cause")
CULPRIT = {"side": "client", "why": "it wrote \x00", "basis": "frame", "api": "x/Y", "frame": 4}
RUN = results(
    cell(),
    cell("failed", scenario="b", reason="bad \x00 <&> \ud800", culprit=CULPRIT),
    cell("deviating", scenario="c", reason="any", excuses=[EXCUSE]),
    cell("deviating", scenario="d", reason="other", excuses=[EXCUSE]),
    cell("warned", scenario="e", severity="should"),
    cell("error", scenario="f"),
    broken="interrupted",
)


def test_the_summary_has_matrix_failures_and_causes() -> None:
    text = summary(RUN)
    assert "**1 of 1 pair is broken.**\n\nA pair works if events with" in text
    assert "\n| python/ZapServer | - | X | - |\n" in text
    assert "\nBroken:\n\n- python/ZapServer <-> dart@0.5.0/ZapConsumer: b: bad" in text
    assert "\n6 cells: 1 passed, 2 deviating, 1 warned, 1 failed, 1 error.\n" in text
    assert "\n### client x/Y: 1 cell, 1 scenario, 1 pair\n\n**b**: A payload comes back.\n" in text
    assert "\n**e** (warned): " in text
    assert text.index("**f** (error)") < text.index("**b**") < text.index("**e**")
    assert "culprit: client x/Y (it wrote" in text
    assert "**The testbed failed:** interrupted" in text
    assert "- dart (server): its cause (c, d)" in text
    assert "Not run: pypi@0.5.2: no network" in text


def test_the_summary_names_every_cell_of_a_cause() -> None:
    text = summary(results(*[cell("failed", scenario=f"s{n}", reason="same") for n in range(30)]))
    assert text.count("### ") == 1
    assert "<summary>29 more cells</summary>" in text
    assert ", s8, s9: python/ZapServer ↔ dart@0.5.0/ZapConsumer\n" in text
    assert all(f"s{n}" in text for n in range(30))


def test_the_summary_has_each_cause_of_a_culprit_below_it() -> None:
    cells = [cell("failed", scenario=name, reason=f"{name} is wrong") for name in ("a", "b")]
    text = summary(results(*cells))
    assert text.count("\n### no side at fault: 2 cells, 2 scenarios, 1 pair; 2 kinds of") == 1
    assert "\n#### 1 cell, 1 scenario, 1 pair: b is wrong\n\n**b**: " in text


def test_a_clean_run_has_no_failures_to_show() -> None:
    text = summary(results(cell()))
    assert "## Unexpected" not in text
    assert "The testbed failed" not in text


def test_the_summary_says_what_ran() -> None:
    peer = PeerRecord("Dart", "3.7.3", {"zap": "0.3.0"}, {"zap": "00aa"})
    run = results(cell(), peers={"zap@0.3.0/Server": peer}, commit=Commit("4de8327", dirty=True))
    assert summary(run).endswith(
        "## What ran\n\n- commit 4de8327, and changes that are not committed.\n"
        "- zap@0.3.0: Dart 3.7.3; zap 0.3.0 (00aa)\n"
    )


def test_the_summary_says_which_installed_testbed_ran() -> None:
    assert "## What ran\n\n- zaptools-interop 0.6.0.\n" in summary(results(cell(), testbed="0.6.0"))


def test_the_summary_says_which_versions_go_together() -> None:
    newer = [cell(server="pypi@0.5.2/S", scenario=name) for name in PLAIN]
    older = [cell(server="pypi@0.3.0/S", scenario=name) for name in PLAIN]
    older[PLAIN.index("echo.null")] = cell("deviating", server="pypi@0.3.0/S")
    text = summary(results(*newer, *older))
    first = "pypi/S 0.3.0 with dart/ZapConsumer 0.5.0: but for echo.null"
    assert f"## Versions\n\n- {first}\n- pypi/S 0.5.2 with" in text
    assert "## Versions" not in summary(RUN)


def test_junit_fails_only_what_gates(tmp_path: Path) -> None:
    tree = junit(RUN)
    suite, whole = tree.getroot()
    assert suite.attrib["tests"] == "6"
    kinds = {case.attrib["name"]: [child.tag for child in case] for case in suite}
    assert kinds == {
        "echo.null": [], "b": ["failure"], "c": ["skipped"], "d": ["skipped"], "e": ["skipped"],
        "f": ["error"],
    }  # fmt: skip
    assert (whole.attrib["tests"], whole.attrib["errors"]) == ("1", "1")
    assert [error.attrib["message"] for error in whole.iter("error")] == ["interrupted"]
    assert len(junit(results(cell())).getroot()) == 1


def test_failures_of_one_cause_have_one_type() -> None:
    cells = [cell("failed", scenario=f"s{n}", reason=f"no event 's{n}'") for n in range(3)]
    tree = junit(results(*cells, cell("failed", scenario="t", reason="other")))
    types = [found.attrib["type"] for found in tree.iter("failure")]
    assert types == ["no side at fault: no event …"] * 3 + ["no side at fault: other"]


def test_the_files_can_be_read_back(tmp_path: Path) -> None:
    write_reports(RUN, tmp_path)
    message = ET.parse(tmp_path / "junit.xml").find(".//failure")
    assert message is not None
    assert (message.text or "").startswith("culprit: client x/Y (it wrote �); frame 4\npython -m")
    assert message.attrib["message"] == "bad � <&> �"
    assert "\\ud800" in (tmp_path / "summary.md").read_text("utf-8")
    assert "bad \\x00 &lt;&amp;&gt; \\ud800" in (tmp_path / "report.html").read_text("utf-8")


def test_a_history_that_cannot_be_read_costs_no_results(tmp_path: Path) -> None:
    (tmp_path / "kept" / "runs").mkdir(parents=True)
    (tmp_path / "kept" / "runs" / "1.json.gz").write_bytes(b"")
    with pytest.raises(TestbedError, match="not the record of a run"):
        write_reports(RUN, tmp_path, tmp_path / "kept")
    assert {path.name for path in tmp_path.iterdir()} == {
        "kept",
        "results.json",
        "summary.md",
        "junit.xml",
    }


def test_the_summary_lists_known_flaky_cells() -> None:
    known = [flaky(failed=[("a/S", "b/C", "echo.null")]), flaky(over=True)]
    assert (
        "## Known flaky\n\n"
        "- echo.* (* <-> dart): 1 of 3 cells failed, which is tolerated until 2026-12-31: a race\n"
        "    - echo.null: a/S ↔ b/C\n"
        "- **over** echo.* (* <-> dart): may not fail any more after 2026-12-31: repair it or "
        "give it more time\n"
    ) in summary(results(cell("tolerated"), known_flaky=known))
    (case,) = junit(results(cell("tolerated", reason="a race"))).iter("skipped")
    assert case.attrib["message"] == "tolerated: a race"
