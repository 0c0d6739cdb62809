from __future__ import annotations

from typing import get_args

import pytest

from interop.engines.registry import ENGINES, engine_kind
from interop.errors import TestbedError
from interop.records import EngineName


def test_results_can_name_each_engine_and_the_check() -> None:
    assert {*ENGINES, "check"} == set(get_args(EngineName))


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TestbedError) as caught:
        engine_kind("cloud")
    assert str(caught.value) == "no engine is named 'cloud'; there are: local, docker, compose"
