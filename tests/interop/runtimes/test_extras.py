from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from interop.errors import CannotRun
from interop.runtimes.extras import check_extra


@pytest.fixture
def requires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The metadata of a distribution that is installed; its requirements are to be added."""
    monkeypatch.syspath_prepend(tmp_path)
    (folder := tmp_path / "some_tool-1.dist-info").mkdir()
    path = folder / "METADATA"
    path.write_text("Metadata-Version: 2.1\nName: some-tool\nVersion: 1\n", "utf-8")
    return path


def add(path: Path, *requirements: str) -> None:
    text = path.read_text("utf-8") + "".join(f"Requires-Dist: {each}\n" for each in requirements)
    path.write_text(text, "utf-8")


def test_what_is_there_will_do(requires: Path) -> None:
    there = f"pytest=={version('pytest')}; extra == 'python'"
    add(requires, there, "no-such-thing", "no-such-either; extra == 'other'")
    check_extra("python", "some-tool")
    check_extra("dart", "some-tool")


def test_what_is_missing_is_named_with_the_command_that_brings_it(requires: Path) -> None:
    add(requires, "no-such-thing>=3; extra == 'python'", "pytest<1; extra == 'python'")
    for peer in ("python", "mutant"):
        with pytest.raises(CannotRun) as caught:
            check_extra(peer, "some-tool")
        first, details = str(caught.value).splitlines()
        assert first.startswith(f"no packages for the peer {peer}; to have it: ")
        assert first.endswith(" -m pip install 'some-tool[python]'")
        assert details == (
            f"no-such-thing>=3 is not installed; pytest<1 is needed, and {version('pytest')} "
            "is installed"
        )


def test_where_there_is_no_pip_pipx_has_installed_it(
    requires: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(requires, "no-such-thing; extra == 'python'")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CannotRun, match=r": pipx install --force 'some-tool\[python\]'\n"):
        check_extra("python", "some-tool")
