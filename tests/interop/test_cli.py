from __future__ import annotations

import pytest

from interop.cli import main
from interop.commands import look


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for command in (
        "run",
        "list",
        "dart-packages",
        "deviations",
        "compare",
        "wire-diff",
        "check",
        "replay",
    ):
        assert f"\n    {command}" in out


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(look, "load_peers", interrupted)
    assert main(["list"]) == 130
