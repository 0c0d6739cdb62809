"""Every JSON value crosses the wire unchanged, there and back."""

from __future__ import annotations

from typing import Any

import pytest

from interop.errors import Violation
from interop.roles.client import Client
from interop.roles.server import Server
from interop.scenarios.scenario import scenario
from interop.wire.rules import differ

KIB = 1024

VALUES: dict[str, list[Any]] = {
    "null": [None],
    "booleans": [True, False],
    "integers": [0, 1, -1, 2**31, -(2**31), 2**53, -(2**53)],
    "integers-to-63-bits": [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)],
    "integers-beyond-63-bits": [2**63, 2**64, -(2**63) - 1, 10**20, 10**30],
    "floats": [0.1, -2.5, 1.0, 100.0, 5e-324, 1.7976931348623157e308, 1e-7, 123456789.123],
    "negative-zero": [-0.0],
    "text-empty": [""],
    "text-64-kib": ["x" * 64 * KIB],
    "text-escapes": ['"', "\\", "\n\r\t\b\f", "</script>", "\\u0041", "a/b"],
    "text-controls": ["\x00", "\x01\x1f", "\x7f"],
    "text-bmp": ["é", "日本語", "\u2028\u2029", "\ufeff", "\ufffd", "\uffff"],
    "text-astral": ["🙂", "👩‍👩‍👧‍👦", "𝄞", "\U0010ffff"],
    "objects": [{}, {"a": 1, "b": {"c": {"d": [1, 2, {"e": None}]}}}, {"": "empty key"}],
    "object-with-wire-names": [{"eventName": "x", "payload": 1, "headers": {}}],
    "arrays": [[], [1, "two", None, True, 2.5, [], {}], [[[[1]]]], list(range(500))],
    "nested-50-deep": [__import__("json").loads("[" * 50 + "]" * 50)],
}


@pytest.mark.parametrize("name", VALUES)
# RFC 8259 section 6 lets an implementation limit the range of numbers. 64 bits are the least
# that every version of zaptools has carried.
@scenario(
    "echo",
    "A payload comes back from an echo handler as it was sent.",
    should=["integers-beyond-63-bits"],
)
async def test_echo(server: Server, client: Client, name: str) -> None:
    await client.open()
    for value in VALUES[name]:
        answer = await client.echo(value)
        received = await server.event("echo")
        for where, got in (("the server received", received), ("back came", answer)):
            if difference := differ(value, got.data.get("payload", "nothing")):
                raise Violation(f"{where} another value at {difference}")


@scenario(
    "size.one-mebibyte",
    "A message of 1 MiB, the smallest limit of any implementation, passes both ways.",
)
async def test_one_mebibyte(server: Server, client: Client) -> None:
    # 256 bytes less leave room for the keys, in every writer's form.
    payload = "x" * (KIB * KIB - 256)
    await client.open()
    answer = await client.echo(payload)
    assert len((await server.event("echo")).data["payload"]) == len(payload)
    assert answer.data["payload"] == payload
