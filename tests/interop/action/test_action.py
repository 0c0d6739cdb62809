"""What the GitHub action makes of its inputs, and the workflow that uses it."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from interop import action
from tests.interop.action.workflow import ROOT, action_of, evaluate, filled, jobs
from tests.interop.cells import cell, results


def words(**inputs: str) -> list[str]:
    given = {f"INPUT_{name.upper()}": value for name, value in inputs.items()}
    return action.arguments(given, Path("/r"))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (
            {"mode": "gate", "url": "ws://a/ws", "clients": "dart@*\n pypi \n", "echo": "e"},
            "gate … --server ws://a/ws --clients dart@* --clients pypi --echo e",
        ),
        (
            {"mode": "gate", "url": "ws://a", "baseline": "old.json", "arguments": "--ask\na b"},
            "gate … --server ws://a --baseline old.json --ask a b",
        ),
        ({"mode": "check", "url": "ws://a", "strict": "true"}, "check … --strict ws://a"),
        (
            {"mode": "check-client", "command": "dart run 'my client.dart'", "echo": "e"},
            "check-client … --echo e -- dart run my client.dart",
        ),
        ({"mode": "run", "peers": "p", "versions": "all"}, "run … --peers p --versions all"),
        ({"mode": "run", "versions": "newest", "strict": "false"}, "run …"),
    ],
)
def test_the_command(inputs: dict[str, str], expected: str) -> None:
    found = " ".join(words(**inputs))
    assert found.replace("--results /r --format github", "…") == expected


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"mode": "test"}, "mode is 'test': it is one of check, check-client, gate, run"),
        ({}, "mode is ''"),
        ({"mode": "check"}, "mode check needs the input url"),
        ({"mode": "check-client"}, "mode check-client needs the input command"),
        ({"mode": "run", "url": "ws://a"}, "url is none of the inputs of mode run: peers"),
        ({"mode": "check", "url": "ws://a", "strict": "yes"}, "strict is 'yes': it is true or"),
        ({"mode": "gate", "url": "ws://a", "strict": "true"}, "strict is none of the inputs"),
        ({"mode": "run", "versions": "old"}, "versions is 'old': it is newest or all"),
    ],
)
def test_inputs_that_are_wrong(inputs: dict[str, str], message: str) -> None:
    with pytest.raises(action.InputError) as info:
        words(**inputs)
    assert message in str(info.value)


def test_each_input_is_handed_on() -> None:
    (ask,) = (step for step in action_of()["runs"]["steps"] if step.get("id") == "answer")
    of_steps = {"comment", "name", "python-version"}
    assert {f"INPUT_{name.upper()}" for name in action_of()["inputs"].keys() - of_steps} == set(
        ask["env"]
    )


def test_a_server_runs_while_it_is_asked() -> None:
    with pytest.raises(action.InputError, match="the server ended with status 3"):
        with action.started("exit 3", "ws://127.0.0.1:9"):
            raise AssertionError("it does not listen")
    program = (
        "import http.server as h; s = h.HTTPServer(('127.0.0.1', int(__import__('sys').argv[1])), "
        "h.BaseHTTPRequestHandler); s.serve_forever()"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"ws://127.0.0.1:{port}/ws"
    with socket.create_server(("127.0.0.1", port)) as other:
        with pytest.raises(action.InputError, match="another program listens at"):
            with action.started("true", url):
                raise AssertionError("the other one would be asked")
        assert other.fileno() >= 0
    with action.started(f'{sys.executable} -c "{program}" {port} & wait', url):
        pass
    listens = True
    while listens:  # until its process is gone, which was told to end
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            listens = False


def test_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "out"))
    assert action.sentence(tmp_path, "::notice::x\n\n  works: 3\nmore") == "works: 3"
    assert action.sentence(tmp_path, "") == "no answer"
    (tmp_path / "results.json").write_text(json.dumps({"run": {"answer": "Do\nnot"}}))
    assert action.sentence(tmp_path, "works") == "Do not"
    for status, verdict in ((0, "works"), (1, "broken"), (2, "unknown"), (130, "unknown")):
        action.answer(status, "so", tmp_path, "")
        assert f"verdict={verdict}\n" in (tmp_path / "out").read_text()
    assert "report=\n" in (tmp_path / "out").read_text()
    (tmp_path / "report.html").touch()
    action.answer(0, "so", tmp_path, "")
    assert f"report={tmp_path / 'report.html'}\n" in (tmp_path / "out").read_text()


def test_the_comment_says_what_a_gate_newly_breaks(tmp_path: Path) -> None:
    """Though the cells of a gate are named by what it found."""
    before, after = tmp_path / "before", tmp_path / "after"
    old = cell(server="ws://a/ws", scenario="gate.reads")
    new = cell("failed", server="ws://a/ws", scenario="gate.reads.headers-absent.price")
    for folder, made in ((before, old), (after, new)):
        results(made, answer="so").write(folder)
    text = Path(action.comment("Do not deploy", after, before, tmp_path)).read_text()
    assert text.startswith("**Do not deploy**\n\nCompared with the base branch:")
    assert "newly broken: 1\n   gate.reads.headers-absent.price, ws://a/ws <-> dart@0.5.0" in text
    assert "not in the new run" not in text
    assert "in common" not in text


def test_the_example_uses_it() -> None:
    given = jobs(ROOT / "examples" / "gate" / ".github" / "workflows" / "compatibility.yml")
    for inputs in given.values():
        words(**{name.replace("-", "_"): value for name, value in inputs.items()})


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("a.b", "1"),
        ("a.c", ""),
        ("a.c || 'x'", "x"),
        ("a.b == '1' && a.b != '2'", "True"),
        ("a.b == '2' || a.b == '3'", "False"),
    ],
)
def test_expressions(expression: str, value: str) -> None:
    context = {"a": {"b": "1"}}
    assert evaluate(expression, context) == value
    assert filled(f"<${{{{ {expression} }}}}>", context) == f"<{value}>"
