from __future__ import annotations

import re

import pytest

from interop.errors import TestbedError
from interop.mutate.texts import apply_text, load_texts, parse_texts

ENTRY = """
[[change]]
file = "_app.py"
peer = "python"
apis = ["ZapServer"]
before = 'raise RuntimeError("boom")'
after = "return"
"""


def test_the_table_has_changes_of_peers_in_every_language() -> None:
    every = load_texts()
    languages = {change.peer.language for change in every}
    assert languages == {"JavaScript", "Dart", "Go", "Python"}
    assert sum(not change.unseen for change in every) >= 60
    assert all(change.apis for change in every)


def test_an_entry_names_a_text_and_the_rows_and_columns_that_it_concerns() -> None:
    (change,) = parse_texts(ENTRY)
    assert change.id == '_app.py: raise RuntimeError("boom") -> return'
    assert [api.id for api in change.apis] == ["python/ZapServer"]
    assert apply_text('x = raise RuntimeError("boom")', change) == "x = return"
    (every,) = parse_texts(ENTRY.replace('apis = ["ZapServer"]\n', ""))
    assert len(every.apis) == 8


def test_a_peers_own_file_needs_no_name_of_it_and_older_versions_are_left_out() -> None:
    (change,) = parse_texts(
        '[[change]]\nfile = "pypi/server.py"\n'
        "before = 'register.on_event(\"error\")(self._on_error)'\nafter = ''\n"
    )
    assert [api.id for api in change.apis] == [
        "pypi@0.5.2/FastApiConnector",
        "pypi@0.5.2/SanicConnector",
        "pypi@0.5.2/ZapClient",
    ]
    assert change.id.endswith(" -> nothing")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("boom", "bang", "_app.py has 'raise RuntimeError(\"bang\")' 0 times, not once"),
        ("'raise RuntimeError(\"boom\")'", "'await '", "times, not once"),
        ('after = "return"', "after = 'raise RuntimeError(\"boom\")'", "changes nothing"),
        ('"_app.py"', '"_ap.py"', "an existing 'file', not '_ap.py'"),
        ('peer = "python"\n', "", "'_app.py' names no peer: needs 'peer'"),
        ('["ZapServer"]', '["Zap"]', "python has no 'Zap'"),
        ('after = "return"', "after = 1", "takes the texts"),
        ("after =", "behind =", "takes the texts"),
        ("[[change]]", "[[changes]]", "something else than"),
        ("\n[[change]]", ENTRY + "[[change]]", "two entries are the same"),
    ],
)
def test_a_malformed_entry_is_an_error(old: str, new: str, words: str) -> None:
    with pytest.raises(TestbedError, match=re.escape(words)):
        parse_texts(ENTRY.replace(old, new))
