"""A recorded client, played to the same server and to each of several next versions of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from interop.traffic.masks import PLACEHOLDER
from interop.traffic.recording import load
from tests.support import within
from zaptools import EventContext, ZapConsumer, ZapServer

from .sessions import proxied, recorded, replayed, shop


def written(file: Path) -> str:
    return file.read_text()


async def test_the_same_server_has_the_same_form(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r.jsonl")
    async with shop() as url:
        playback, found = await replayed(recording, url, values=True, order=True)
    assert found == []
    assert (playback.played, playback.events, playback.unplayed) == (1, 4, {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price": {"amount": "10"}},
         "event 'price': payload.amount was a number (in 1 sample), is a string now"),
        ({"price": {"amount": None}},
         "event 'price': payload.amount was a number (in 1 sample), is null now"),
        ({"without": ["currency"]},
         "event 'price': payload.currency was always there (in 1 sample), is absent now"),
        ({"without": ["currency"], "price": {"money": "EUR"}},
         "event 'price': payload.currency was always there (in 1 sample), is absent now; "
         "payload.money is new and of the same form: renamed?"),
        ({"price": {"item": {"id": 7, "tags": [1]}}},
         "event 'price': payload.item.tags[] was a string (in 1 sample), is a number now"),
        ({"silent": True}, "event 'price': does not come; it came once"),
        ({"sum": "3"}, "reply to 'sum': payload was a number (in 1 sample), is a string now"),
        ({"fails": True}, "error reply to 'sum': is new"),
        ({"price": {"more": 1}}, "note: event 'price': payload.more is new, a number"),
        ({"price": {"old": 9}},
         "note: event 'price': payload.old was null (in 1 sample), is a number now"),
        ({"price": {"amount": 10.5}},
         "note: event 'price': payload.amount was always whole (in 1 sample), has a fraction now"),
        ({"more": "sale"}, "note: event 'sale': is new"),
        ({"name": "quote"},
         "note: event 'quote': is new, of the same form as event 'price', which does not come: "
         "renamed?"),
        ({"close": 4000}, "connection 1: is closed with 4000 after 'watch'; it was not"),
    ],
)  # fmt: skip
async def test_a_next_version(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r.jsonl")
    async with shop(**change) as url:
        _, found = await replayed(recording, url)
    assert [each for each in found if each.startswith(words)], found


async def test_a_place_names_the_line_and_the_connection(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r.jsonl")
    async with shop(sum="3") as url:
        _, (found,) = await replayed(recording, url)
    number = int(found.rpartition("(line ")[2].partition(",")[0])
    line = written(tmp_path / "r.jsonl").splitlines()[number - 1]
    assert '\\"replyTo\\"' in line
    assert found.endswith(", connection 1)")


async def test_what_the_server_made_anew_is_sent_back(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r.jsonl")
    assert "first-token" not in written(tmp_path / "r.jsonl")
    async with shop(token="second-token") as url:
        _, found = await replayed(recording, url)
    assert found == []


async def test_secrets_of_the_handshake_that_are_repeated_are_given_back(tmp_path: Path) -> None:
    header, query = "hdr-S3cretToken-1", "qry-S3cret-2"
    payload = {"x": f"Bearer {header}", "token": header, "z": query, "w": f"tok {query}"}
    server = ZapServer(port=0)

    @server.on_event("check")
    async def check(ctx: EventContext) -> None:
        same = ctx.payload == payload
        await ctx.connection.send("ok" if same else "bad", {"got": ctx.payload})

    file = tmp_path / "r.jsonl"
    async with server:
        url = f"ws://127.0.0.1:{server.port}/"
        async with proxied(url, file) as proxy:
            client = ZapConsumer(f"ws://127.0.0.1:{proxy.port}/")
            await client.connect(
                headers={"Authorization": f"Bearer {header}"}, query={"token": query}
            )
            answer = asyncio.create_task(client.wait_for("ok"))
            await asyncio.sleep(0)
            await client.send_event("check", payload)
            await within(answer)
            await client.disconnect()
        assert not any(each in written(file) for each in (header, query))
        assert "<masked:" not in PLACEHOLDER.sub("", written(file))
        secrets = {"authorization": header, "token": query}
        assert (await replayed(load(file), url, secrets=secrets))[1] == []


async def test_values_when_told(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r.jsonl")
    async with shop(price={"currency": "USD"}) as url:
        assert (await replayed(recording, url))[1] == []
        _, (found,) = await replayed(recording, url, values=True)
        assert found.startswith('event \'price\': payload.currency was "EUR", is "USD" now (line ')
        assert (await replayed(recording, url, values=True, ignore=["price.*.curr*"]))[1] == []


async def test_what_is_ignored_is_neither_compared_nor_waited_for(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r.jsonl")
    async with shop(silent=True) as url:
        assert (await replayed(recording, url, ignore=["pri*"], patience=60))[1] == []
