from __future__ import annotations

import argparse
from pathlib import Path

from interop.commands.options import given_words


def test_a_command_that_repeats_options_has_those_that_were_given() -> None:
    given = argparse.Namespace(
        echo=None, rate=0.5, known=Path("a b"), clients=["x", "y"], peers=[], no_real=True,
        strict=False, at_once=0,
    )  # fmt: skip
    assert given_words(given, *vars(given)) == [
        *("--rate", "0.5", "--known", "a b", "--clients", "x", "--clients", "y", "--no-real"),
        *("--at-once", "0"),
    ]
