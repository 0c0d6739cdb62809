"""Facts about the machine, and none where there are none."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bench import machine
from bench.machine import busy_seconds, choose_cores, describe, raise_file_limit


def test_busy_seconds_are_those_of_processes_and_of_a_hypervisor(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 300 4000 50 60 70 800 9 9\ncpu0 1 1 1\n")
    assert busy_seconds(stat) == 12.2
    stat.write_text("cpu  100 20 300 4000\n")
    assert busy_seconds(stat) == 4.2
    assert busy_seconds(tmp_path / "none") is None


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux has cores to choose")
def test_two_cores_or_none() -> None:
    cores = choose_cores()
    known = os.sched_getaffinity(0)
    if len(known) > 1:
        assert set(cores) <= known
        assert cores[0] != cores[1]
    else:
        assert cores == (None, None)


def test_the_facts_can_be_shown() -> None:
    facts = describe((0, 1))
    assert facts["pinned"] is True
    assert describe((None, None))["pinned"] is False
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", facts["date"])
    assert all(facts[name] for name in ("cpu", "cores", "system", "python"))


def test_the_file_limit_is_raised() -> None:
    resource = pytest.importorskip("resource")
    raise_file_limit()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard


def test_the_processors_model_is_read_where_it_is_told(tmp_path: Path) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor : 0\nmodel name : Abacus 3: fast\nprocessor : 1\n")
    assert machine._cpu_model(facts) == "Abacus 3: fast"
    facts.write_text("processor : 0\n")
    assert machine._cpu_model(facts)
    assert machine._cpu_model(tmp_path / "none")


def test_what_is_no_clone_has_no_commit(tmp_path: Path) -> None:
    assert machine._commit(tmp_path) is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux has cores to choose")
def test_one_core_alone_is_for_both() -> None:
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert choose_cores() == (None, None)
    finally:
        os.sched_setaffinity(0, cores)
