"""Two letters with a few rules, for tests of what is made of rules."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec

from interop.scenarios.scenario import Scenario
from interop.spec.rules import Rules

TEXT = """
[letter.A]
title = "Alpha"
page = "alpha"
last = 4
intro = "What A-1 is for."
[letter.P]
title = "Peers"
page = "peers"
last = 1
intro = "Not of the wire."
wire = false

[rule.A-1]
level = "must"
text = "A server MUST answer, as A-2 says."
source = ["RFC 6455, section 5.5", "zaptools 0.5.2, core/events.py:7"]
of = "server"
example = '{"eventName":"a"}'

[rule.A-2]
level = "should"
text = "A side SHOULD ask."
source = ["decision: it is polite"]
where = ["rooms", "request"]

[rule.A-3]
level = "must"
text = "A message MUST be JSON."
source = ["RFC 8259, section 2"]
everywhere = "`check_text` reads it"

[rule.A-4]
level = "must"
text = "A side MUST be quick."
source = ["decision: time"]
unseen = "no clock"

[rule.P-1]
level = "must"
text = "A peer MUST run."
source = ["contract: Starting"]
"""

SCENARIOS = {
    "a.one": Scenario("a.one", "One.", rules=["A-1"]),
    "b.x": Scenario("b", "Two.", "should", side="server", rules=["A-2"]),
    "b.y": Scenario("b", "Two.", "should", side="server", rules=["A-2"]),
    "p.one": Scenario("p.one", "It runs.", rules=["P-1"]),
}


def rules(text: str = TEXT) -> Rules:
    data: dict[str, Any] = tomllib.loads(text)
    return msgspec.convert(data, Rules)
