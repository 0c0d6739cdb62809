from __future__ import annotations

import pytest

from interop.catalog import Api, CatalogError
from interop.gate.versions import chosen, named

APIS = [
    Api("dart", "client", "Consumer", "0.5.0"),
    Api("dart", "client", "Consumer", "0.4.0", older=True),
    Api("dart", "server", "Server", "0.3.0"),
    Api("dart-0.3", "client", "Consumer", "0.3.0", older=True),
    Api("dart-0.3", "client", "Subscriber", "0.3.0"),
    Api("dart-0.3", "client", "Subscriber", "0.10.0"),
    Api("dart-io", "client", "Client"),
    Api("mutant", "client", "broken", "1", control=True),
]


def ids(*patterns: str) -> list[str]:
    return [api.id for api in chosen(APIS, patterns)]


def test_a_peer_names_its_older_generations_too_and_all_versions() -> None:
    consumers = ["dart-0.3@0.3.0/Consumer", "dart@0.4.0/Consumer", "dart@0.5.0/Consumer"]
    subscribers = ["dart-0.3@0.3.0/Subscriber", "dart-0.3@0.10.0/Subscriber"]
    assert ids("dart@*") == ids("dart") == ids() == [*consumers, *subscribers]
    assert ids("dart@0.3.*") == [consumers[0], subscribers[0]]
    assert ids("dart-0.3") == [consumers[0], *subscribers]
    assert ids("dart*") == [*consumers, *subscribers, "dart-io/Client"]
    assert ids("dart-io", "mutant") == ["dart-io/Client", "mutant@1/broken"]


def test_a_pattern_that_names_none() -> None:
    with pytest.raises(CatalogError, match=r"--clients 'drat' names no client .*'dart'"):
        ids("drat")


def test_names_in_a_sentence() -> None:
    there = chosen(APIS, ["dart*"])
    assert named(there, there) == (
        "dart Consumer 0.3.0 to 0.5.0, dart Subscriber 0.3.0 to 0.10.0 and dart-io Client"
    )
    assert named(there[:1], there) == "dart Consumer 0.3.0"
    assert named([there[0], there[3]], there) == "dart Consumer and Subscriber 0.3.0"
    assert named([there[0], there[2]], there) == "dart Consumer 0.3.0 and 0.5.0"
