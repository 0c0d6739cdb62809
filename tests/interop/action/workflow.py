"""Runs the jobs of a workflow that use this repository's action, as far as this machine can.

The steps of the action that are scripts run as GitHub runs them, in bash, with their environment,
their outputs, and their conditions. Those that use another action are played: setup-python gives
this Python, the cache is a folder, and an upload is written down.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ROOT", "Job", "action_of", "evaluate", "jobs"]

ROOT = Path(__file__).parents[3]
ACTION = ROOT / "interop" / "action.yml"

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
_TOKEN = re.compile(r"\s*(?:(\|\||&&|==|!=)|'([^']*)'|([\w.-]+))")


def evaluate(expression: str, context: dict[str, Any]) -> str:
    """Return the value of an expression; operators bind as GitHub's do, the loosest first."""
    tokens = [found.groups() for found in _TOKEN.finditer(expression.strip())]
    return str(_value(tokens, context))


def _value(tokens: list[Any], context: dict[str, Any]) -> Any:
    for operator in ("||", "&&", "==", "!="):
        for n, (found, _, _) in enumerate(tokens):
            if found == operator:
                left, right = _value(tokens[:n], context), _value(tokens[n + 1 :], context)
                match operator:
                    case "||":
                        return left or right
                    case "&&":
                        return left and right
                    case "==":
                        return left == right
                    case _:
                        return left != right
    ((_, text, name),) = tokens
    if name is None:
        return text
    value: Any = context
    for part in name.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return value


def filled(text: object, context: dict[str, Any]) -> str:
    """Return a text with the values of its expressions."""
    return _EXPRESSION.sub(lambda found: evaluate(found[1], context), str(text))


def action_of() -> dict[str, Any]:
    """Return the action."""
    action: dict[str, Any] = yaml.safe_load(ACTION.read_text("utf-8"))
    return action


def jobs(workflow: Path) -> dict[str, dict[str, str]]:
    """Return the action's inputs in each job of a workflow that uses it."""
    found = {}
    for name, job in yaml.safe_load(workflow.read_text("utf-8"))["jobs"].items():
        for step in job["steps"]:
            if step.get("uses", "").partition("@")[0].endswith("/interop"):
                given = {key: _as_text(value) for key, value in step["with"].items()}
                unknown = given.keys() - action_of()["inputs"].keys()
                assert not unknown, f"{workflow}: {name}: the action has no inputs {unknown}"
                found[name] = given
    return found


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass
class Job:
    """One run of the action, in a repository.

    Attributes:
        repository: the folder of the repository that uses it.
        temp: the runner's folder for temporary files.
        event: the event that started the workflow.
        branch: its branch, or, of a pull request, the branch that it goes to.
        outputs: the outputs of its steps, by id.
        used: the other actions that steps have used.
        log: what steps have printed.
        status: the exit status of the step that failed; 0 if none has.
    """

    repository: Path
    temp: Path
    event: str = "push"
    branch: str = "main"
    outputs: dict[str, Any] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    log: str = ""
    status: int = 0

    def run(self, given: dict[str, str]) -> None:
        """Run the action with these inputs."""
        action = action_of()
        inputs = {name: str(each.get("default", "")) for name, each in action["inputs"].items()}
        inputs.update(given)
        pull = self.event == "pull_request"
        context = {
            "inputs": inputs,
            "runner": {"temp": str(self.temp)},
            "steps": self.outputs,
            "github": {
                "event_name": self.event,
                "base_ref": self.branch if pull else "",
                "ref_name": "1/merge" if pull else self.branch,
                "event": {"pull_request": {"number": "1"}},
                "token": "no token",
                "run_id": "1",
                "run_attempt": "1",
            },
        }
        self.temp.mkdir(parents=True, exist_ok=True)
        for step in action["runs"]["steps"]:
            if "if" in step and evaluate(step["if"], context) in ("", "False"):
                continue
            if "uses" in step:
                self._use(step, context)
            else:
                self._script(step, context)
            if self.status:
                return

    def output(self, name: str) -> str:
        """Return an output of the action."""
        context = {"steps": self.outputs}
        return filled(action_of()["outputs"][name]["value"], context)

    @property
    def summary(self) -> str:
        """What the page of the job says."""
        path = self.temp / "summary.md"
        return path.read_text("utf-8") if path.is_file() else ""

    def _use(self, step: dict[str, Any], context: dict[str, Any]) -> None:
        name = step["uses"].partition("@")[0]
        self.used.append(name)
        given = {key: filled(value, context) for key, value in step.get("with", {}).items()}
        kept = self.temp.parent / "cache" / self.branch
        match name:
            case "actions/setup-python":
                self.outputs["python"] = {"outputs": {"python-path": sys.executable}}
            case "actions/cache/restore":
                shutil.rmtree(given["path"], ignore_errors=True)
                if kept.is_dir():
                    shutil.copytree(kept, given["path"])
            case "actions/cache/save":
                shutil.copytree(given["path"], kept, dirs_exist_ok=True)
            case "actions/upload-artifact":
                assert any(Path(given["path"]).iterdir()), f"nothing to upload: {given}"
            case _:
                raise AssertionError(f"nothing here plays {name}")

    def _script(self, step: dict[str, Any], context: dict[str, Any]) -> None:
        written = self.temp / "output"
        written.write_text("", "utf-8")
        env = {
            **os.environ,
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTION_PATH": str(ACTION.parent),
            "GITHUB_OUTPUT": str(written),
            "GITHUB_STEP_SUMMARY": str(self.temp / "summary.md"),
            "GITHUB_REPOSITORY": "owner/repository",
            "GITHUB_ACTIONS": "true",
            **{name: filled(value, context) for name, value in step.get("env", {}).items()},
        }
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
        assert step["shell"] == "bash"
        done = subprocess.run(
            [*shell, filled(step["run"], context)], cwd=self.repository, env=env,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.log += done.stdout
        self.status = done.returncode
        lines = written.read_text("utf-8").splitlines()
        pairs = dict(line.split("=", 1) for line in lines)
        if "id" in step:
            self.outputs[step["id"]] = {"outputs": pairs}
