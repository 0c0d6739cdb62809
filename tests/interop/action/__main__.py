"""Runs the workflow of ``examples/gate`` on copies of it, one of which breaks old apps.

It takes the ways that GitHub takes: the testbed is installed out of this repository, the results of
a push are there for the pull request, and the job of the one that breaks is red.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from .workflow import ROOT, Job, jobs

EXAMPLE = ROOT / "examples" / "gate"

GH = '#!/bin/sh\nprintf "%s\\n" "$@" >"$RUNNER_TEMP/gh"\ncat "$COMMENT" >>"$RUNNER_TEMP/gh"\n'
"""In place of GitHub's command line: keeps what would be a comment."""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs = folder / "bin"
        programs.mkdir()
        (programs / "gh").write_text(GH, "utf-8")
        (programs / "gh").chmod(0o755)
        # `python` of the example is the one that this library is installed for.
        os.environ["PATH"] = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        repository = folder / "repository"
        shutil.copytree(EXAMPLE, repository)
        given = jobs(repository / ".github" / "workflows" / "compatibility.yml")
        assert sorted(given) == ["client", "old-apps"]

        sound = run("old apps, on a push", Job(repository, folder / "runner"), given["old-apps"])
        holds(sound, sound.status == 0 and sound.output("verdict") == "works")
        holds(sound, Path(sound.output("report")).is_file() and sound.summary != "")
        holds(sound, "actions/upload-artifact" in sound.used and "actions/cache/save" in sound.used)

        server = repository / "server.py"
        changed = server.read_text("utf-8").replace(
            'path="/ws")', 'path="/ws", omit_empty_headers=True)'
        )
        assert changed != server.read_text("utf-8")
        server.write_text(changed, "utf-8")
        pull = Job(repository, folder / "runner", event="pull_request")
        broken = run("old apps, on a pull request that breaks them", pull, given["old-apps"])
        holds(broken, broken.status == 1 and broken.output("verdict") == "broken")
        holds(broken, "::error" in broken.log and "headers" in broken.output("answer"))
        comment = (folder / "runner" / "gh").read_text("utf-8")
        holds(broken, "Compared with the base branch" in comment and "newly broken" in comment)

        few = {**given["client"], "arguments": "--scenario\nframes.*"}  # all take a minute
        client = run("the client", Job(repository, folder / "client"), few)
        holds(client, client.status == 0 and client.output("verdict") == "works")

        wrong = Job(repository, folder / "client")
        run("an input that is none", wrong, {**given["client"], "url": "ws://127.0.0.1:1"})
        holds(wrong, wrong.status == 2 and wrong.output("verdict") == "unknown")


def run(title: str, job: Job, given: dict[str, str]) -> Job:
    job.run(given)
    said = job.outputs.get("answer", {}).get("outputs", {}).get("answer", "")
    sys.stdout.write(f"--- {title}: status {job.status}: {said}\n")
    return job


def holds(job: Job, condition: bool) -> None:
    if not condition:
        sys.stdout.write(f"{job.log}\n{job.outputs}\n{job.summary}\n")
        raise SystemExit("the action did otherwise")


if __name__ == "__main__":
    main()
