from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from interop.catalog import Api, load_peers
from interop.gate.judgement import Seen, causes
from interop.verdicts import deviations
from interop.wire import vectors
from interop.wire.frames import BINARY, TEXT
from interop.wire.vectors import Read, Vectors

RECORDED = {each.api: each for each in vectors.load() if each.role == "client"}

NO_HEADERS = b'{"eventName":"price","payload":1}'
NULL = b'{"eventName":"price","payload":null,"headers":{}}'

READS = {
    "form.client.headers-absent": [Read("", "ignored", escaped="Oh: headers\nat line 5")],
    "form.client.payload-null": [Read("", "ended")],
    "form.client.headers-null": [Read("", "altered", "headers: expected an object, got null")],
    "form.white-space": [Read("", "delivered")],
    "malformed.to-client.not-json": [Read("", "ignored")],
    "malformed.to-client.binary": [Read("", "deaf")],
}
CLIENT = Vectors("old@1/Client", "client", {}, READS, longest=100_000)


def of(*seen: Seen, client: Vectors = CLIENT) -> dict[str, str]:
    return {cause.key: f"{cause.words}: {cause.effect}" for cause in causes(client, seen)}


def test_what_it_does_not_read_breaks_it() -> None:
    assert of(Seen(TEXT, NO_HEADERS, "push"), Seen(TEXT, NULL, "push")) == {
        "headers-absent.price": "sends `price` without headers: the app gets no event, and an "
        "exception escapes (Oh: headers)",
        "payload-null.price": "sends `price` with a payload that is null: the app gets no event, "
        "and the client ends the connection",
    }
    altered = of(Seen(TEXT, b'{"eventName":"price","payload":1,"headers":null}', "push"))
    assert altered == {
        "headers-null.price": "sends `price` with headers that are null: the app gets something "
        "else (headers: expected an object, got null)"
    }


def test_what_it_reads_breaks_nothing() -> None:
    spaced = b'{"eventName": "price", "payload": 1, "headers": {}}'
    assert of(Seen(TEXT, spaced, "push")) == {}


def test_an_exception_breaks_it_also_where_the_event_arrives() -> None:
    reads = {"form.white-space": [Read("", "delivered", escaped="Oh")]}
    spaced = Seen(TEXT, b'{"eventName": "price", "payload": 1, "headers": {}}', "push")
    assert of(spaced, client=Vectors("old@1/Client", "client", {}, reads)) == {
        "white-space.price": "sends `price` with white space between its tokens: the app gets the "
        "event, and an exception escapes (Oh)"
    }


def test_each_event_is_a_cause_of_its_own_and_is_counted() -> None:
    other = NO_HEADERS.replace(b"price", b"news")
    found = causes(CLIENT, [Seen(TEXT, text, "push") for text in (NO_HEADERS, other, NO_HEADERS)])
    assert [(cause.key, cause.count) for cause in found] == [
        ("headers-absent.price", 2), ("headers-absent.news", 1),
    ]  # fmt: skip
    assert found[0].form == found[1].form


def test_what_is_no_event_may_be_ignored_but_costs_no_connection() -> None:
    assert of(Seen(TEXT, b"hello", "push")) == {}
    deaf = {"malformed.to-client.not-json": [Read("", "deaf")]}
    found = of(Seen(TEXT, b"hello", "push"), client=Vectors("o@1/C", "client", {}, deaf))
    assert found == {
        "not-json.a message": "sends a message which is no JSON: the app hears nothing more on "
        "that connection"
    }
    list_for_headers = b'{"eventName":"price","payload":1,"headers":[]}'
    ignored = {"malformed.to-client.headers-array": [Read("", "ignored")]}
    found = of(Seen(TEXT, list_for_headers, "push"), client=Vectors("o@1/C", "client", {}, ignored))
    assert list(found) == ["headers-array.price"]  # an app waits for an event of that name
    assert list(of(Seen(BINARY, NO_HEADERS + b" ", "push"))) == [
        "headers-absent.price", "binary.price",
    ]  # fmt: skip


def test_an_echo_has_to_give_back_what_the_client_sent() -> None:
    asked = NULL.decode()
    assert of(Seen(TEXT, NULL, "echo", asked)) == {}  # it cannot read what it sends itself
    assert list(of(Seen(TEXT, NULL, "answer", asked))) == ["payload-null.price"]
    assert of(Seen(TEXT, NULL.replace(b',"headers":{}', b""), "echo", asked)) == {}
    plain = '{"eventName":"price","payload":1,"headers":{}}'
    assert list(of(Seen(TEXT, NO_HEADERS, "echo", plain))) == ["headers-absent.price"]
    assert list(of(Seen(TEXT, NULL, "echo", plain))) == ["payload-null.price"]


def test_a_message_longer_than_it_was_seen_to_read() -> None:
    long = b'{"eventName":"price","payload":"%s","headers":{}}' % (b"x" * 100_000)
    assert list(of(Seen(TEXT, long, "push"))) == ["size.price"]
    assert of(Seen(TEXT, long.replace(b"x" * 50_000, b""), "push")) == {}
    unknown = Vectors("old@1/Client", "client", {}, READS)
    assert of(Seen(TEXT, long, "push"), client=unknown) == {}


# --- What is recorded, and what deviations.toml says --------------------------------------------

JUDGED = ("form.client.*", "form.number.*", "form.escapes", "form.white-space", "headers.read.*")
"""Those of the recorded scenarios that fail where a message is not read."""


def clients() -> list[Api]:
    apis = (api for peer in load_peers().values() for api in peer.apis)
    return [api for api in apis if api.id in RECORDED]


@pytest.mark.parametrize("api", clients(), ids=lambda api: api.id)
def test_the_records_say_the_same_as_the_known_deviations(api: Api) -> None:
    known = [
        entry
        for entry in deviations.load()
        if entry.role == "client" and not entry.framework and api.matches(entry.peer)
    ]
    for scenario, reads in RECORDED[api.id].reads.items():
        if not any(fnmatchcase(scenario, pattern) for pattern in JUDGED):
            continue
        expected = any(entry.names(scenario) for entry in known)
        unread = [r for r in reads if r.outcome != "delivered" or r.escaped]
        assert bool(unread) == expected, f"{scenario}: {unread}"


def test_what_is_known_of_old_clients() -> None:
    """The facts by which the gate was asked for."""
    for version in ("0.2.0", "0.3.0"):
        old = RECORDED[f"dart-0.3@{version}/ZapConsumer"]
        assert list(of(Seen(TEXT, NO_HEADERS, "push"), client=old)) == ["headers-absent.price"]
        assert list(of(Seen(TEXT, NULL, "push"), client=old)) == ["payload-null.price"]
    assert of(Seen(TEXT, NO_HEADERS, "push"), client=RECORDED["dart@0.5.0/ZapConsumer"]) == {}
