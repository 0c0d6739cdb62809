from __future__ import annotations

from pathlib import Path

from interop.catalog import Api, Peer
from interop.model.lacking import page


def peer(*apis: Api) -> Peer:
    return Peer("mine", "C", "here", "m", Path(), apis)


def test_each_lack_has_a_row_with_its_reason() -> None:
    lacks = {"close code": "close() takes none", "close reason": "close() takes none", "ask": "no"}
    older = Api("mine", "client", "C", "1", lacks, older=True)
    text = page([peer(Api("mine", "client", "C", "2", lacks), older)])
    assert text.endswith(
        "## mine\n\n"
        "| `C` 2, 1 lacks | because |\n"
        "|---|---|\n"
        "| `close code`, `close reason` | close() takes none |\n"
        "| `ask` | no |\n"
    )


def test_versions_that_lack_other_things_have_tables_of_their_own() -> None:
    new, old = (
        Api("mine", "client", "C", "2", {"ask": "a"}),
        Api("mine", "client", "C", "1", {"ask": "b"}),
    )
    assert page([peer(new, old)]).count(" lacks | because |") == 2


def test_controls_and_what_lacks_nothing_are_not_there() -> None:
    assert "##" not in page([peer(Api("mine", "client", "C"))])
    assert "##" not in page([peer(Api("mine", "client", "C", lacks={"ask": "a"}, control=True))])
