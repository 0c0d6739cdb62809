from __future__ import annotations

import json
from typing import Any

import pytest

from interop.gate.real import same_value


@pytest.mark.parametrize(
    ("sent", "got", "same"),
    [
        ('{"a":[1.0,"é",null,true]}', {"a": [1, "é", None, True]}, True),
        ("1", 1.0, False),
        ("1", True, False),
        ("9223372036854775808", 9223372036854775808.0, False),
        ("1e2", 100, True),
        ("-0.0", 0, False),
        ("-0.0", -0.0, True),
        ("1.5", "1.5", False),
        ("NaN", {"$unencodable": "NaN"}, True),
        ('{"a":1}', {"a": 1, "b": 2}, False),
        ("[1]", [1, 2], False),
        ("null", 0, False),
    ],
)
def test_a_library_may_have_one_type_for_all_numbers(sent: str, got: Any, same: bool) -> None:
    assert same_value(json.loads(sent), got) is same
