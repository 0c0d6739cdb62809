"""What both roles share, against scripted peers."""

from __future__ import annotations

from typing import Any

from interop.control.patience import Patience
from interop.roles.client import Client

from ..control.test_session import connected, saying
from ..fake_peer import Answer
from .test_client import CLIENT, roles


async def test_settling_waits_until_nothing_is_reported() -> None:
    answered = []

    def script(request: dict[str, Any]) -> Answer:
        answered.append(request["op"])
        late = [{"on": "event", "name": "late"}] if len(answered) in (4, 9) else []
        return [*late, {"id": request["id"], "ok": {}}]

    async with roles(script) as (server, client):
        await client.settle()
        assert (server.count("event"), client.count("event")) == (1, 1)
        assert len(answered) == 2 * (5 + 3)  # the fifth round is the last with news
    async with roles(saying({"on": "event", "name": "always"})) as (server, _):
        await server.settle()
        assert server.count("event") == 200


async def test_a_peer_excluded_from_the_pace_delays_no_wait() -> None:
    async with roles(saying()) as (server, _), connected(saying(), CLIENT) as session:
        client = Client(session, Patience(0.05), None, server)
        assert len(server.sessions) == 3
        client.exclude_from_pace("server")
        assert len(server.sessions) == 3
        client.exclude_from_pace("client")
        assert session not in server.sessions and len(server.patience.pace) == 2
