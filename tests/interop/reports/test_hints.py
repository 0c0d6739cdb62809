"""The commands for a cell."""

from __future__ import annotations

from pathlib import Path

from interop.records import CellResult
from interop.reports.hints import Hints

from ..cells import cell

PAIR = "--server python/ZapServer --client dart@0.5.0/ZapConsumer"


def blamed(side: str, basis: str, **more: str) -> CellResult:
    return cell("failed", culprit={"side": side, "why": "", "basis": basis, "api": "x/Y"}, **more)


def test_the_command_that_shows_a_cell() -> None:
    shown = "python -m interop show python/ZapServer dart@0.5.0/ZapConsumer echo.null"
    assert Hints().show(cell()) == shown
    assert Hints(folder=Path("a b")).show(cell()) == f"{shown} --results 'a b'"


def test_the_command_that_runs_a_cell_again_keeps_options_and_results() -> None:
    hints = Hints(options=["--strict", "--dart", "/my dart"])
    assert hints.again(cell()) == (
        f"python -m interop run {PAIR} --scenario echo.null --strict --dart '/my dart' "
        "--results results/again"
    )


def test_a_cell_that_ran_again_runs_again_in_the_same_folder() -> None:
    assert Hints(folder=Path("x/again")).again(cell()).endswith(" --results x/again")


def test_what_is_no_cell_of_the_matrix_has_its_own_command() -> None:
    assert (
        Hints().again(cell(again="python -m interop check ws://x"))
        == "python -m interop check ws://x"
    )


def test_a_culprit_by_the_matrix_keeps_what_passes_in_its_place() -> None:
    cells = [
        bad := blamed("server", "row"),
        cell(server="z/Good"),
        cell(server="a/Good", client="another/Client"),
        cell(server="b/Good", scenario="another"),
        cell("failed", server="c/Bad", raised="no"),
        cell("unsupported", server="d/Lacks"),
    ]
    again = Hints(cells).again(bad)
    assert again.startswith(
        "python -m interop run --server python/ZapServer --server z/Good "
        "--client dart@0.5.0/ZapConsumer --scenario echo.null"
    )
    column = blamed("client", "column")
    again = Hints([column, cell(client="x/Good")]).again(column)
    assert " --client dart@0.5.0/ZapConsumer --client x/Good " in again


def test_of_what_passes_the_soundest_is_kept() -> None:
    bad = blamed("server", "row")
    cells = [bad, cell(server="a/Good"), cell(server="b/Good"),
             cell("failed", server="a/Good", scenario="other")]  # fmt: skip
    assert "--server b/Good" in Hints(cells).again(bad)


def test_a_culprit_that_the_cell_shows_needs_no_other() -> None:
    bad = blamed("server", "frame")
    assert f"run {PAIR} " in Hints([bad, cell(server="z/Good")]).again(bad)


def test_a_culprit_by_cells_with_the_judge_keeps_one_of_them() -> None:
    bad = blamed("server", "judged", scenario="echo.b", raised="no")
    judge = {"client": "judge/Raw", "raised": "no"}
    cells = [
        bad,
        cell("failed", server="x/Y", scenario="a.a", **judge),
        cell("failed", server="x/Y", scenario="echo.c", **judge),
        cell("failed", server="other/Y", scenario="echo.a", **judge),
        cell("deviating", server="x/Y", scenario="echo.aa", **judge),
    ]
    assert " --scenario echo.b --scenario echo.c " in Hints(cells).again(bad)
    assert " --scenario echo.b --scenario a.a " in Hints(cells[:2]).again(bad)


def test_a_cell_of_the_compose_project_runs_again_in_it() -> None:
    hints = Hints(options=["--engine", "compose"])
    assert hints.again(cell(server="judge/Raw")) == (
        "docker compose up --detach dart && docker compose run --rm matrix "
        "python -m interop run --server judge/Raw --client dart@0.5.0/ZapConsumer "
        "--scenario echo.null --engine compose --results results/again"
    )
