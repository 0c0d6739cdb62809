from __future__ import annotations

import pytest

from interop.gate.traits import TRAITS, parse
from interop.wire import vectors
from interop.wire.frames import BINARY, TEXT

RECORDED = {each.api: each for each in vectors.load() if each.role == "client"}
SOUND = RECORDED["python/ZapConsumer"]


def traits(text: str, opcode: int = TEXT) -> list[str]:
    message = parse(opcode, text.encode("utf-8", "surrogatepass"))
    return [trait.name for trait in TRAITS if trait.has(message)]


def test_the_plainest_message_has_none() -> None:
    text = '{"eventName":"a","payload":{"b":[1,-1,1.5,"é",null,true]},"headers":{}}'
    assert traits(text) == []
    assert parse(TEXT, text.encode()).event == "a"


@pytest.mark.parametrize("trait", TRAITS, ids=lambda trait: trait.name)
def test_the_recorded_scenario_is_of_messages_with_that_trait(trait: object) -> None:
    """So that what is looked up there is what became of the same."""
    assert trait in TRAITS
    found = TRAITS[TRAITS.index(trait)]
    opcode = BINARY if found.name == "binary" else TEXT
    texts = [read.text for read in SOUND.reads[found.scenario]]
    assert texts
    for text in texts:
        assert found.name in traits(text, opcode), text


@pytest.mark.parametrize("client", RECORDED.values(), ids=lambda client: client.api)
def test_every_client_was_recorded_for_every_trait(client: vectors.Vectors) -> None:
    assert {trait.scenario for trait in TRAITS} <= client.reads.keys()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"eventName":"a","payload":1e400,"headers":{}}', ["exponents", "beyond-a-double"]),
        ('{"eventName":"a","payload":-Infinity,"headers":{}}', ["nan"]),
        ('{"eventName":"a","payload":"NaN 1e5  \\\\u","headers":{}}', []),
        ('{"eventName":"a","payload":9007199254740992,"headers":{}}', []),
        ('{"eventName":"a","payload":true,"headers":{"n":9007199254740993}}',
         ["headers-full", "integers-beyond-53-bits"]),
        ('{"headers":{},"eventName":"a","payload":1}', ["other-key-order"]),
        ('{"eventName":"a"}', ["headers-absent", "payload-absent"]),
        ("[" * 100_000, ["not-json"]),
        ("true", ["number"]),
        ("\ufeff{}", ["not-json"]),
    ],
)  # fmt: skip
def test_traits(text: str, expected: list[str]) -> None:
    assert traits(text[:200_000]) == expected
