"""What must catch each defect of the `mutant` peer, and in which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["CLIENTS", "FRAMES", "SERVERS", "Caught"]


@dataclass(frozen=True)
class Caught:
    """How a defect shows.

    Attributes:
        seen: a regular expression that the failure's text matches, in each of `scenarios`.
        scenarios: ids of those in which it must be red.
    """

    seen: str
    scenarios: Sequence[str]


def by(seen: str, *scenarios: str) -> Caught:
    return Caught(seen, scenarios)


SERVERS: Mapping[str, Caught] = {
    # What it writes.
    "event-name-key": by(
        "event-name at .*missing|wrote what is no event",
        "echo.null",
        "order.pushed",
        "contract.app-refuses.broadcast",
    ),
    "writes-no-headers": by("back came other headers", "headers.echo.strings"),
    "null-payload-absent": by("left out the payload", "payload.null-written"),
    "integers-as-floats": by(r"expected a number 0, got a number 0\.0", "echo.integers"),
    "ascii-only": by(r"expected a string 'é', got a string '\?'", "echo.text-bmp"),
    "astral-as-two": by("invalid continuation byte", "echo.text-astral"),
    "raw-controls": by("Invalid control character", "echo.text-controls"),
    "escapes-twice": by(r"back came another value at \$: expected", "echo.text-escapes"),
    "lone-surrogates": by("the server wrote a lone surrogate", "form.own-lone-surrogate"),
    "truncates-long-text": by("back came another value", "echo.text-64-kib"),
    "nothing-is-null": by(
        "another payload at",
        "broadcast.whole.falsy",
        "headers.from-handler.falsy",
        "headers.from-outside.falsy",
    ),
    "cuts-wide-objects": by("back came another value", "hard.answered.wide-object"),
    "lowers-header-names": by("other headers at", "headers.from-outside.text"),
    "headers-carried-over": by("back came other headers", "headers.each-its-own"),
    "sends-twice-under-load": by("At index 99 diff: 98 != 99", "order.pushed"),
    "reorders-under-load": by("At index 48 diff: 49 != 48", "order.pushed"),
    "equal-sent-once": by("expected 3 equal events, got 1", "events.equal", "events.equal-answers"),
    "long-sent-late": by(r"got \[0, 'large', 1, 2\]", "order.large-sent-first"),
    "writes-deeper-than-it-reads": by("no event 'echo'", "hard.deep-both-ways"),
    "last-of-two-keys": by("delivered 11 events", "malformed.duplicate-key"),
    "long-read-late": by(r"got \[0, 'large', 1, 2\]", "order.large-first.40-kb"),
    "loses-end-of-burst": by("no last tick", "order.pushed"),
    "reply-without-id": by("assert None == 'by hand-1'", "request.by-hand"),
    "failure-unanswered": by("no event 'fail'", "request.error"),
    "error-without-text": by("replyError to be a string, got None", "request.error"),
    "error-unasked": by("from failed handlers, got 2", "request.no-error"),
    "error-tells-the-inside": by("reveals to the peer what the handler raised", "request.error"),
    "error-is-reply-to-server": by(
        "answered with an error did not fail", "request.error-raised-in-server"
    ),
    # What it reads.
    "refuses-empty-name": by("no echo of|not connected", "events.empty-name"),
    "refuses-unknown-keys": by("no event 'whoami'", "form.server.unknown-keys"),
    "needs-name-first": by("no event 'whoami'", "form.server.other-key-order"),
    "needs-headers": by("no event 'whoami'", "form.server.headers-absent"),
    "needs-compact-text": by("no event 'echo'", "form.white-space"),
    "dies-of-byte-order-mark": by("wrote no close frame", "malformed.byte-order-mark"),
    "malformed-unreported": by("no error callback", "malformed.reported"),
    "folds-case-of-names": by(r"called once, got \['echo', 'echo', 'echo'\]", "events.name-exact"),
    "headers-lost-beside-nothing": by(
        "the server received other headers",
        "headers.read.absent",
        "headers.read.falsy",
        "headers.read.null",
    ),
    "any-name-is-text": by("delivered 1 events, not none", "malformed.catch-all.name-number"),
    "any-headers-are-none": by(
        "delivered 1 events, not none",
        "malformed.server-unheard.headers-array",
        "malformed.server-unheard.headers-number",
        "malformed.server-unheard.headers-string",
    ),
    "binary-is-text": by("delivered 1 events, not none", "frames.binary.event"),
    # The last event may be the first of its read.
    "one-message-a-read": by(r"no last echo|got == list\(range\(MANY\)\)", "order.sent"),
    # Frames, time, endings.
    "no-pong": by("wrote no pong frame", "frames.ping.1"),
    "late-pong": by("had to wait|wrote no pong or text frame", "time.ping-while-handling"),
    "needs-pongs": by("wrote no ping frame", "time.events-for-pongs"),
    "pongs-unheard-while-handling": by("wrote no text frame", "time.pongs-while-handling"),
    "room-caches-members": by("expected no more events", "rooms.leave"),
    "no-pings": by("wrote no ping frame", "time.pings"),
    "context-forgotten": by("no event 'echo'", "deflate.blocks.one-context"),
    "ping-ends-compressed-message": by("no event 'echo'", "deflate.fragments.in-three.with-pings"),
    "corrupt-is-event": by("delivered what has to fail", "deflate.corrupt.no-such-block"),
    "limit-of-compressed": by("delivered what has to fail", "deflate.limit.500-times"),
    "compressed-large-late": by("wrote what is no event", "deflate.sent-at-once"),
    "no-size-limit": by("wrote no close frame", "amount.scaled-limit.one-frame"),
    "loses-last-fragment": by("no event 'echo'", "frames.split-in-two"),
    "events-before-close-lost": by("no event 'echo'", "frames.messages-before-close"),
    "close-unanswered": by(
        "wrote no close frame|with no close frame",
        "frames.close-code.1000",
        "lifecycle.client-close-code",
    ),
    "stuck-once-unread": by("wrote no text frame", "slow.sends", "time.slow-reader"),
    "waits-for-ever-to-send": by(
        "a send still waits after the end", "slow.sends-fail.end", "slow.sends-fail.reset"
    ),
    "own-close-code-lost": by("1000 == 4002", "lifecycle.server-close-code"),
    "tells-another-close-code": by("told 4003, got 1000", "ends.close-told"),
    "lost-is-closed": by("told 1006, got 1005", "ends.no-code-told.end"),
    # Handlers.
    "no-disconnected": by("no disconnected", "lifecycle.client-close"),
    "disconnected-twice": by(
        r"expected server.count\('disconnected', conn=client.conn\) == 1: assert 2 == 1",
        "lifecycle.client-close",
    ),
    "connected-twice": by(r"index 1 diff: 'connected' != 'event'", "lifecycle.connected-once"),
    "connected-after-events": by(
        "an event came before connected", "lifecycle.connected-before-events"
    ),
    "handler-errors-swallowed": by("no error callback", "handlers.raise-reported"),
    "handler-error-ends-connection": by(
        r"no event with the payload 'still there\?'", "handlers.raise"
    ),
    "handler-error-escapes": by("let an exception escape: .*boom", "handlers.raise-contained"),
    "deaf-once-connected-raised": by(
        "not usable and the server does not end it", "lifecycle.connected-raises"
    ),
    "disconnected-raising-ends-all": by(
        r"no event with the payload 'still there\?'|the server (ended|reset)",
        "lifecycle.disconnected-raises.close",
        "lifecycle.disconnected-raises.reset",
    ),
    "lifecycle-error-escapes": by(
        "let an exception escape: .*boom",
        "lifecycle.raise-contained.connected",
        "lifecycle.raise-contained.disconnected",
    ),
    "lifecycle-errors-swallowed": by(
        "no error callback",
        "lifecycle.raise-reported.connected",
        "lifecycle.raise-reported.disconnected",
    ),
    "connected-unawaited": by("expected slow, then 0 to 2, got 0", "lifecycle.slow-connected"),
    "connects-one-at-a-time": by("no connected within", "lifecycle.slow-connected-alone"),
    "early-end-untold": by("no disconnected within", "lifecycle.slow-connected-left.reset"),
    "busy-end-told-again": by(
        "got connected, event, disconnected, disconnected",
        "handling.peer-leaves.reset",
        "handling.own-close",
    ),
    "drop-awaits-handlers": by("wrote no close frame", "handling.close-returns"),
    "one-book-for-all": by("no event 'echo'", "apart.handlers"),
    "handlers-at-once": by(r"got \['echo', 'slow'\]", "handlers.one-after-the-other"),
    "slow-handler-delays-all": by("had to wait for the slow handler|no event", "handlers.slow"),
    "handler-close-code-lost": by("code 4005, got 1000", "lifecycle.handler-close-code"),
    "handler-close-ends-all": by(
        r"no event with the payload 'still there\?'|the server (ended|reset)",
        "many.one-is-closed-by-handler",
    ),
    "messages-fire-lifecycle": by(
        r"fired the connected handler|the catch-all got \['connected', 'past it'\]",
        "any.reserved.connected",
        "events.reserved.connected",
    ),
    "sends-wait-for-handler": by("had to wait for the slow handler", "handlers.push-beside"),
    "reply-among-a-hundred": by("wrote no text frame", "request.reply-behind-many"),
    "reads-nothing-while-handling": by("wrote no text frame", "request.from-handler"),
    "catch-all-gets-unknown-alone": by(
        r"at the catch-all, got \['unregistered', 'past it'\]", "any.once"
    ),
    "ask-outlives-connection": by(
        "waits, though|still waits, though its connection has ended",
        "request.after-end",
        "request.connection-ends.reset",
    ),
    "unawaited-reply-lost": by(
        "no event 'question'", "request.reply-unawaited.late", "request.reply-unawaited.second"
    ),
    "reply-of-any-connection": by("that was asked, got 'forged'", "request.reply-of-another"),
    "rooms-of-all-servers": by(r"no more events, got \['to the first'", "apart.rooms"),
    "broadcasts-of-all-servers": by(r"no more events, got \['to the first'", "apart.broadcast"),
    "room-events-late": by("the numbers 0 to 39 in order", "rooms.order-beside"),
    "broadcasts-late": by("the numbers 0 to 39 in order", "broadcast.order-beside"),
    "room-counts-joins": by(r"no more events, got \['without you'\]", "rooms.leave-joined-twice"),
    "folds-case-of-rooms": by("'team' alone in the room 'team', got", "rooms.name-exact"),
    "composes-names": by("no event .* at the catch-all", "any.name"),
    "catch-all-without-failed": by(r"then past it, got \['past it'\]", "any.raised"),
    "malformed-end-told-twice": by("callback fired 2 times", "malformed.end-told-once.not-json"),
    "malformed-end-untold": by("no disconnected within", "malformed.end-told.not-json"),
    "parses-texts": by(r"got 'echo' with the payload 12", "hard.text-like-value"),
    "parses-header-texts": by("received other headers|back came other", "headers.echo.strings"),
    "composes-texts": by("back came another value", "hard.answered.texts-not-composed"),
    "numbers-from-texts": by("back came another value", "hard.answered.texts-like-values"),
    "catch-all-is-first": by(r"called as \['all', 'named'\]", "any.order"),
    "connected-cannot-send": by(
        "wrote no text frame|no event 'welcome'", "events.greeting", "events.sent-on-connect"
    ),
    "connected-is-of-first": by("wrote no text frame", "events.sent-on-every-connect"),
    # Several connections.
    "one-id": by("'zpt-id' != 'zpt-id'", "many.ids"),
    "ids-used-again": by("an id was given again", "many.ids-not-again"),
    "deaf-after-one-left": by("is the connection usable", "many.one-leaves.first"),
    "malformed-ends-all": by(
        r"no event with the payload 'still there\?'", "malformed.others.not-json"
    ),
    "stop-awaits-handlers": by("stop does not return", "stop.while-handling"),
    "stop-awaits-handshakes": by(
        "stop does not return", "stop.half-open.nothing", "stop.half-open.half"
    ),
    "stop-awaits-clients": by("stop does not return", "stop.unanswered"),
    "stop-leaves-connections": by("no state offline", "lifecycle.stop-tells-clients"),
    "send-after-close-lost": by("an error from the server's send", "ends.send-after.close"),
    "end-told-at-own-close": by("expected the end to be told last", "ends.events-behind-own-close"),
    "long-reason-cut-in-a-character": by(
        "expected the beginning of the reason", "frames.own-long-reason.124"
    ),
    "close-overtakes-sends": by(
        "expected 50 events before the close frame",
        "ends.sent-before-close",
        "ends.burst-before-close",
    ),
    "send-while-closing-lost": by("behind its close frame, got none", "ends.send-while-closing"),
    "room-keeps-past-members": by(r"no more events, got \['without you'\]", "rooms.leave"),
    "room-leaves-sender-out": by("no event 'said'", "rooms.members"),
    "room-ignores-exclude": by(r"no more events, got \['to you'\]", "rooms.exclude-self"),
    "room-members-twice": by(r"no more events, got \['once'\]", "rooms.once"),
    "room-drops-headers": by(
        r"in the room, got \{\}", "rooms.headers.all", "rooms.headers.exclude-self"
    ),
    "long-heads-unanswered": by("wrote no handshake", "handshake.endless-head"),
    "room-waits-for-its-first": by("no event 'said' with the payload", "rooms.slow-member"),
    "room-looks-at-live-members": by("no event 'said' with the payload|got", "rooms.churn"),
    "broadcast-looks-at-live-connections": by(
        "no event 'said' with the payload|expected the payload", "broadcast.churn"
    ),
    "broadcast-one-by-one": by("no event 'said' with the payload", "broadcast.slow-member"),
    "room-without-compressed": by("no event 'said' with the payload", "rooms.compressed-members"),
    "rooms-are-one": by(r"\[2\] at connection 2, got \[2, 3\]", "rooms.of-fifty"),
    "room-fails-at-a-closed-member": by(
        "no event 'said' with the payload", "rooms.leave-by-disconnecting", "rooms.past-closing"
    ),
    "room-waits-for-past-members": by(
        "no event 'said' with the payload 'afterwards'", "rooms.slow-member-leaves"
    ),
    "broadcast-waits-for-the-gone": by(
        "no event 'said' with the payload 'afterwards'", "broadcast.slow-member-leaves"
    ),
    "room-left-is-all-left": by("event alone, got \\[\\]", "rooms.leave-one"),
    "room-raises-for-strangers": by("wrote no text frame", "rooms.leave-unjoined"),
    "room-is-for-members": by(
        "no event 'said' with the payload",
        "rooms.from-outside.all",
        "rooms.from-outside.exclude-self",
    ),
    "room-ignores-leavers": by(
        "no event 'said' with the payload 'has left'",
        "rooms.leaver-announced.close",
        "rooms.leaver-announced.reset",
    ),
    "room-fails-at-ghosts": by(
        "no event 'said' with the payload 'once'",
        "rooms.join-after-end.close",
        "rooms.join-after-end.reset",
    ),
    "room-raises-when-empty": by(
        "the server reported an error",
        "rooms.empty.all-gone",
        "rooms.empty.all-left",
        "rooms.empty.never-joined",
    ),
    "room-takes-nothing-for-null": by("another payload at", "rooms.whole.falsy"),
    "loses-64-kib-to-many": by(
        "no event 'said' with the payload", "broadcast.length.65536", "rooms.length.65536"
    ),
    "broadcast-leaves-sender-out": by("wrote no text frame", "broadcast.all"),
    "broadcast-ignores-exclude": by(r"at the sender, got \['to you'\]", "broadcast.exclude-self"),
    "broadcast-drops-headers": by("the server sent other headers", "broadcast.whole.text"),
    "broadcast-to-first-two": by("no event 'said' with the payload", "broadcast.all"),
    "broadcast-fails-at-a-closed-member": by(
        "no event 'said' with the payload", "broadcast.past-gone", "broadcast.past-closing"
    ),
    "broadcasts-swapped": by("expected the payload 0, got 1", "broadcast.order"),
    # The adapter between testbed and library.
    "slow-loses-headers": by(r"the answer to slow is another at \$\.headers", "contract.app.slow"),
    "refuses-without-reason": by("unsupported says no why", "contract.app-refuses.join"),
    "refuses-without-name": by(
        r"the refusal of broadcast is another at \$\.payload", "contract.app-refuses.broadcast"
    ),
    "takes-undeclared-limit": by("serve takes close_timeout_s, which is null", "contract.limits"),
    "ends-told-to-all-sessions": by("another session's end is reported", "contract.sessions"),
    "conn-is-library-id": by("connection 1 is named", "contract.conn"),
    "any-conn-will-do": by("was answered with ok", "contract.no-such-conn"),
    "second-server-served": by("serve .* was answered with ok", "contract.one-each"),
    "null-pushed-as-object": by(
        r"the event sent is another at \$\.payload",
        "contract.sent.payload-null",
        "contract.sent-kinds",
    ),
    "drop-drops-all": by("'still there\\?'|not connected|wrote no text", "contract.drop"),
    "drop-loses-reason": by("expected the close frame", "contract.close"),
    "describes-no-runtime": by("runtime of describe is ''", "contract.describe"),
    "notification-with-more": by("has a key 'peer'", "contract.notifications.close"),
    "infinity-reported-as-null": by("infinity is reported as None", "contract.unencodable"),
    # The handshake.
    "header-in-one-segment": by("no event 'echo'", "amount.limit-in-pieces"),
    "close-waits-for-ever": by("no disconnected", "ends.close-unanswered"),
    "pieces-read-as-frames": by("no event 'echo'", "frames.like-frames"),
    "refusals-without-body": by(r"less than the \d+ bytes", "handshake.refusal-whole"),
    "garbage-unanswered": by("ended the connection and answered", "handshake.garbage-told.frame"),
    "request-in-one-segment": by("reset the connection", "handshake.byte-by-byte"),
    "waits-for-a-handshake": by(
        "wrote no handshake", "time.no-handshake.nothing", "time.no-handshake.half"
    ),
    "lists-of-any-length": by("upgraded where it has to refuse", "handshake.long-lists.10.1-kib"),
    "last-line-alone": by("answered .*426", "handshake.split-list.connection"),
    "handshakes-in-turn": by(
        "wrote no handshake|made no TLS connection",
        "handshake.half-open-beside",
        "tls.half-open-beside",
    ),
    "serves-without-tls": by(
        "no TLS connection|WRONG_VERSION_NUMBER|SSL", "tls.echo", "tls.events", "tls.end.own-close"
    ),
    "serves-plain-beside-tls": by("expected the end or status 400, got", "tls.plain"),
    "any-path": by(
        "connected where it should|upgraded", "lifecycle.wrong-path", "handshake.other-path.root"
    ),
    "query-refused": by("404 Not Found., not 101", "handshake.query.plain"),
    "plain-http-is-fine": by("got .*200 OK", "handshake.plain-http.GET"),
    "wrong-accept": by("s3pPLMBiTxaQ9kYGzzhZRbK", "handshake.accept-key"),
    "prefers-its-last-subprotocol": by("'a' chosen, got", "handshake.subprotocol-preferred"),
    "no-subprotocol": by(r"chosen, got \[\]", "handshake.subprotocol.one"),
    "any-origin": by("upgraded", "handshake.origin-refused"),
    "origin-by-its-end": by("upgraded", "handshake.origin-refused"),
    "origin-of-any-subdomain": by("upgraded", "handshake.origin-refused"),
    "origin-of-any-scheme": by("upgraded", "handshake.origin-refused"),
    "origin-of-any-port": by("upgraded", "handshake.origin-refused"),
    "options-for-the-first-alone": by(
        r"upgraded where|chosen, got \[\]|no close frame|no ping frame",
        "handshake.options-again.subprotocols",
        "handshake.options-again.origins",
        "handshake.options-again.limit",
        "handshake.options-again.pings",
    ),
}
"""By the name of the server."""

CLIENTS: Mapping[str, Caught] = {
    # What it writes.
    "payload-key": by("the server received another value", "echo.booleans"),
    "payload-as-text": by("the server received another value", "echo.integers"),
    "integers-through-double": by("the server received another value", "echo.integers-to-63-bits"),
    "floats-as-integers": by(r"expected a number 1\.0, got a number 1", "echo.floats"),
    "sends-nothing-as-null": by(
        "another payload at",
        "headers.from-handler.falsy",
        "headers.from-outside.falsy",
        "request.by-hand-to-client",
    ),
    "loses-64-kib": by("wrote no text frame", "size.from-outside.65536"),
    "loses-deep-events": by("a handler's answer was lost", "hard.answered.deep-list"),
    "drops-line-separators": by("the server received another value", "echo.text-bmp"),
    "lowers-keys": by("another payload at", "headers.from-outside.map"),
    "sends-headers-of-before": by("the server received other headers", "headers.each-its-own"),
    "duplicates-under-load": by("At index 99 diff: 98 != 99", "order.sent"),
    "swaps-under-load": by("At index 48 diff: 49 != 48", "order.sent"),
    # What it reads.
    "drops-headers": by(
        r"back came other headers|the reported event is another at \$\.headers",
        "headers.echo.strings",
        "contract.received",
    ),
    "drops-headers-beside-nothing": by(
        "the client received other headers", "headers.read.null", "headers.with-null"
    ),
    "takes-any-name": by(
        "delivered 1 events, not none",
        "malformed.catch-all.name-number",
        "malformed.client-unheard.name-null",
        "malformed.client-unheard.name-object",
        "malformed.client-unheard.name-true",
    ),
    "null-headers-refused": by("no event 'echo'", "form.client.headers-null"),
    "empty-payload-refused": by("no event 'echo'", "form.client.payload-absent"),
    "malformed-escapes": by("let an exception escape", "malformed.contained-in-client.not-json"),
    "one-event-a-read": by("no last tick", "order.pushed"),
    # Frames, time, endings.
    "wrong-pong": by("assert b'' ==", "frames.ping.125"),
    "unmasked": by("mask|no WebSocket frame", "frames.new-masks", "echo.null"),
    "uncompressed-ends-context": by("no event 'echo'", "deflate.blocks.one-context"),
    "pinged-message-not-inflated": by("no event 'echo'", "deflate.fragments.each-byte.with-pings"),
    "corrupt-is-handled": by("delivered what has to fail", "deflate.corrupt.too-far-back"),
    "limit-of-what-is-compressed": by("delivered what has to fail", "deflate.limit.one-byte"),
    "compresses-large-late": by("wrote what is no event", "deflate.sent-at-once"),
    "one-mask": by("masking keys repeat", "frames.new-masks"),
    "busy-hears-no-pong": by("wrote no text frame", "time.pongs-while-handling"),
    "silent-peer-unnoticed": by("no end of the connection within", "time.silent-peer"),
    "loses-events-before-close": by("no event 'echo'", "frames.messages-before-close"),
    "answers-close-with-1002": by(
        "1000 or none, got 1002", "frames.close-code.1000", "lifecycle.server-close-code"
    ),
    "closes-before-it-sends": by(
        "expected 50 events before the close frame", "ends.sent-before-close"
    ),
    "wrong-close-code": by("1000 == 4001", "lifecycle.client-close-code"),
    "close-without-frame": by("no close frame", "lifecycle.client-close-clean"),
    "close-reason-lost": by("told 'enough', got ''", "ends.close-told"),
    "always-gives-reason": by("no reason in the close frame, got b'bye'", "ends.no-reason"),
    # States.
    "no-online": by("diff: 'offline' != 'online'", "lifecycle.states"),
    "no-offline-by-remote-close": by("no state offline", "lifecycle.server-close"),
    "states-are-everyones": by("expected its own states", "many.one-is-dropped"),
    "offline-twice": by(
        "one more item: 'offline'|'offline', 'offline'", "lifecycle.states", "tls.end.own-close"
    ),
    "close-is-error": by("no state 'offline'", "lifecycle.clean-close-is-no-error"),
    "refused-is-no-state": by(
        r"no state 'error'|connecting, then error, got \['connecting'\]",
        "lifecycle.refused",
        "reconnect.refused.by-hand",
        "reconnect.refused.try-reconnect",
    ),
    "online-after-events": by("before the state online", "lifecycle.online-before-events"),
    "messages-fire-callbacks": by(
        "fired the disconnected callback", "events.reserved-to-client.disconnected"
    ),
    "disconnected-callback-twice": by(
        "got connected, event, disconnected, disconnected", "ends.callbacks.reset"
    ),
    "merges-equal": by("expected 3 equal events, got 1", "events.equal", "events.equal-answers"),
    "sends-long-late": by(r"got \[0, 'large', 1, 2\]", "order.large-sent-first"),
    "handles-long-late": by(r"got \[0, 'large', 1, 2\]", "order.large-first.40-kb"),
    "disconnects-once": by("connected, event: missing 'disconnected'$", "again.callbacks.by-hand"),
    "no-connected-callback": by("got event, disconnected", "ends.callbacks.own-close"),
    "last-hears-all": by("no end of the connection within", "apart.ends"),
    # Connecting.
    "offers-no-subprotocols": by("no subprotocols supported", "request.subprotocols"),
    "sends-no-request-headers": by("assert None == 'abc'", "request.headers"),
    "drops-query": by(r"'/ws' == '/ws\?a=1", "request.target.query"),
    "refused-is-success": by(
        "connected where it (should|has to fail)",
        "lifecycle.refused",
        "response.long-lists.10.1-kib",
    ),
    "one-key": by("expected 3 different keys", "request.key"),
    "any-accept": by("connected where it has to fail", "response.fails.wrong-accept"),
    "first-moment-lost": by("no event 'echo'", "response.first-moment"),
    "second-socket": by(r"\(2 - 0\) == 1", "ends.connect-twice"),
    "second-socket-of-attempt": by(
        "one connection, got 2",
        "reconnect.connect-while-connecting.by-hand",
        "reconnect.connect-while-connecting.by-itself",
    ),
    "old-end-is-new-end": by(
        "expected to end online",
        "reconnect.while-closing.own-close",
        "reconnect.while-closing.close",
    ),
    "handlers-twice-after-reconnect": by("assert 2 == 1", "lifecycle.reconnect"),
    "sends-again-after-reconnect": by(
        r"got \['before', 'before', 'after'\]", "lifecycle.reconnect-says-nothing"
    ),
    "never-reconnects": by("did not connect within", "reconnect.by-itself.close"),
    "reconnects-after-own-close": by(
        "expected 1 connections, got 2", "reconnect.not-after-own-close.own-close"
    ),
    "reconnects-after-1008": by("no state 'error'|got 2", "reconnect.not-after-1008"),
    "own-failure-is-own-close": by(
        "did not connect within",
        "reconnect.after-own-failure.silent",
        "reconnect.after-own-failure.bad-frame",
        "reconnect.after-own-failure.too-long",
    ),
    "forgets-policy-once-called": by(
        "did not connect within",
        "reconnect.by-itself-after.own-close",
        "reconnect.by-itself-after.gave-up",
        "reconnect.by-itself-after.by-hand",
    ),
    "gives-up-without-status": by(
        "did not connect within|no end of the connection",
        "reconnect.refused-then-accepted.garbage",
        "reconnect.refused-then-accepted.half-an-answer",
        "reconnect.refused-then-accepted.wrong-accept",
        "reconnect.refused-then-accepted.no-listener",
        "reconnect.refused-then-accepted.tls-refused",
    ),
    "gives-up-when-refused": by("did not connect", "reconnect.refused-then-accepted.status"),
    "never-gives-up": by("no state 'error'", "reconnect.gives-up"),
    "every-refusal-is-temporary": by("no state 'error'", "reconnect.refused-for-good.401"),
    "forgives-short-lived": by("no state 'error'", "reconnect.short-lived"),
    "never-forgives": by("did not connect within", "reconnect.stable"),
    "close-needs-a-connection": by(
        "expected 1 connections, got 2|did not end the connection",
        "reconnect.close-while-waiting",
        "reconnect.close-while-connecting",
    ),
    "close-cancels-handlers": by("of the send at the handler's end, got 0", "handling.close-waits"),
    "reconnects-at-once": by("connected again too early", "reconnect.waits.by-itself"),
    "connects-once-closed": by("already connected", "reconnect.close-and-connect"),
    "callback-cannot-connect": by(
        "did not connect within",
        "reconnect.from-disconnected.close",
        "reconnect.from-disconnected.reset",
    ),
    "connects-no-more-by-hand": by("already connected", "reconnect.by-hand-while-waiting"),
    "retries-unasked": by("tried again, and its caller still waits", "reconnect.first-failure"),
    "retries-not": by("did not connect", "reconnect.retry"),
    "reconnects-unsaid": by(
        r"got \[.*'offline', 'online'\]|got \['online'\]",
        "reconnect.by-itself.reset",
        "reconnect.try-reconnect",
    ),
    "try-reconnect-outlives-close": by("was closed meanwhile", "reconnect.close-while-trying"),
    "stuck-once-not-read": by("wrote no text frame", "slow.sends"),
    "waits-for-ever-to-be-read": by(
        "a send still waits after the end", "slow.sends-fail.end", "slow.sends-fail.reset"
    ),
    "offers-no-deflate": by("expected compressed messages", "deflate.agreed"),
    "needs-length-of-refusals": by(
        "expected a refused connection, got: open failed with KeyError",
        "response.refusal-body.chunked",
        "response.refusal-body.endless",
    ),
    "trusts-any-certificate": by(
        "wrote its handshake to a server that it cannot trust",
        "tls.untrusted.unknown",
        "tls.untrusted.other-name",
    ),
    "forgets-what-to-trust": by("CERTIFICATE_VERIFY_FAILED", "tls.reconnect"),
    "ignores-what-to-trust": by("CERTIFICATE_VERIFY_FAILED", "tls.events"),
    "options-forgotten-at-reconnect": by(
        "expected X-Token 'abc', got None|expected an offer of one and two, got|"
        r"expected an offer of permessage-deflate, got \[\]|wrote no (ping|close) frame|"
        "no subprotocols supported",
        "again.headers.by-itself",
        "again.subprotocols.by-hand",
        "again.deflate.try-reconnect",
        "again.pings.by-itself",
        "again.limit.by-hand",
    ),
    "silence-unnoticed-again": by(
        "no end of the connection within",
        "again.silent-peer.by-hand",
        "again.silent-peer.by-itself",
        "again.silent-peer.try-reconnect",
    ),
    "old-pings-run-on": by(
        "wrote no ping frame|no event with the payload",
        "again.pings-after-unanswered.by-hand",
        "again.pings-after-unanswered.by-itself",
        "again.pings-after-unanswered.try-reconnect",
    ),
    "handlers-forgotten-at-reconnect": by(
        "no event '(echo|any)'", "again.handlers.by-hand", "again.catch-all.by-itself"
    ),
    "replies-lost-at-reconnect": by("request failed with TimeoutError", "again.request.by-hand"),
    "callbacks-lost-at-reconnect": by(
        "got connected, disconnected, event", "again.callbacks.by-itself"
    ),
    # While a handler is running.
    "busy-end-told-twice": by(
        "one end, got .*offline, offline", "handling.peer-leaves.reset", "handling.own-close"
    ),
    "close-awaits-handlers": by(
        "wrote no close frame", "handling.close-returns", "handling.close-in-client-handler"
    ),
    "asks-once-idle": by("wrote no text frame", "request.from-client-handler"),
    "deaf-while-busy": by(r"events 0 to 49 in order, got \[\]", "time.slow-client-handler"),
    "pong-once-idle": by("had to wait|wrote no pong or text frame", "time.ping-while-handling"),
    "deaf-after-unknown": by("no event with the payload", "events.unknown-to-client"),
    "deaf-after-error": by("no event 'boom'", "handlers.raise-in-client"),
    "client-handler-error-escapes": by(
        "let an exception escape: .*boom", "handlers.raise-in-client-contained"
    ),
    "busy-client-stays-offline": by("already connected", "handling.connect-again.by-hand"),
    # What is sent offline.
    "kept-in-reverse": by(r"\[0, 1, 2\], got \[2, 1, 0\]", "offline.kept.by-hand"),
    "kept-twice": by(r"got \[0, 1, 2, 0, 1, 2\]", "offline.kept.by-itself"),
    "kept-whatever-is-asked": by(
        r"an error from the third send|the payloads \[\], got \[0\]|"
        r"and then the numbers \[0, 1, 2, 3\]",
        "offline.cut-while-written",
        "offline.limit",
        "offline.closed",
        "offline.dropped",
    ),
    "kept-until-connected": by(
        r"the server got 1, and then the numbers \[\]", "offline.cut-while-written"
    ),
    "kept-for-ever": by(r"the payloads \[\], got \[0\]", "offline.kept-once"),
    "kept-after-first-only": by(r"\[0\], got \[\]", "offline.before-first"),
    "kept-until-greeted": by(
        r"\[0, 1, 'greeting'\], got \['greeting', 0, 1\]", "offline.before-greeting"
    ),
    "revives-dates": by("back came another value", "hard.answered.texts-like-dates"),
    "drops-keys-like-members": by("back came another value", "hard.answered.keys-like-members"),
    "inherits-a-handler": by(r"called once, got \['echo', 'echo'\]", "events.name-exact"),
    "empty-error-is-reply": by(
        "for the replyError '': expected RemoteError, got None", "request.error-kinds"
    ),
    "kept-until-refused": by(r"\[0, 1\], got \[1\]", "offline.kept-while-refused"),
    # Sending, handlers, streams.
    "late-send-lost": by(
        "an error from the client's send",
        "ends.send-after.close",
        "reconnect.send-while-waiting",
    ),
    "calls-of-the-first-connection": by(
        "no event 'late'|wrote no close frame", "reconnect.calls.close", "reconnect.calls.subscribe"
    ),
    "late-handlers-ignored": by(
        "no event '(late|unregistered)'", "any.later", "lifecycle.subscribe-later"
    ),
    "any-event-is-unknown": by("at the catch-all, got", "any.once"),
    "any-event-without-headers": by("the catch-all received other headers", "any.whole.null"),
    "cannot-greet": by("wrote no text frame", "events.sent-on-connect"),
    "failure-kept-secret": by(
        "no event 'fail'|the client wrote no text frame",
        "request.error-to-server",
        "contract.fail",
    ),
    "catch-all-is-the-rest": by("expected .*'late'.* via all", "contract.all"),
    "error-without-id": by("replyTo to be 'by hand-1', got None", "request.error-to-server"),
    "error-is-reply": by("answered with an error did not fail", "request.error-raised"),
    "request-outlives-connection": by(
        "still waits, though its connection has ended|waits, though there is no connection",
        "request.after-end",
        "request.connection-ends.close",
        "request.connection-ends.reset",
    ),
    "keeps-requests": by("written on the next connection", "request.offline"),
    "drops-unawaited-replies": by(
        "no event 'question'", "request.reply-unawaited.late", "request.reply-unawaited.second"
    ),
    "any-event-is-reply": by(
        "got a reply that was not sent|expected the reply '(first|in time)', got|the catch-all got",
        "request.reply-unawaited.late",
        "request.reply-unawaited.second",
        "any.no-reply",
        "request.no-reply",
        "request.replies-swapped",
    ),
    "reply-of-nothing-is-null": by("returned another payload", "request.reply-whole"),
    "streams-end-with-connection": by("no event 'news'", "lifecycle.reconnect"),
    "clean-ends-no-streams": by("no ended", "lifecycle.clean"),
}
"""By the name of the client."""

FRAMES: Mapping[str, Mapping[str, str]] = {
    "server": {
        "event-name-key": "server text .*event_name",
        "writes-no-headers": 'server text .*"headers":{}',
        "null-payload-absent": 'server text {"eventName":"unregistered","headers"',
        "integers-as-floats": r"server text .*\d\.0",
        "ascii-only": r"server text .*\?",
        "raw-controls": "server text .*echo",
        "escapes-twice": r"server text .*\\\\n",
        "lone-surrogates": "server text .*ud800",
        "truncates-long-text": "server text .*xxx",
        "loses-64-kib-to-many": 'judge text {"eventName":"(broadcast|to-room)".*xxx',
        "headers-carried-over": 'server text .*"headers":{"a":1,"b":2}',
        "reorders-under-load": "server text .*(48|49)",
        "equal-sent-once": "server text .*past",
        "long-sent-late": 'server text .*"payload":0',
        "reply-without-id": 'server text .*"answer"',
        "failure-unanswered": 'client text .*"fail"',
        "error-without-text": 'server text .*"fail"',
        "error-unasked": "server text .*replyError",
        "error-tells-the-inside": "server text .*replyError",
        "error-is-reply-to-server": "client text .*replyError",
        "refuses-empty-name": 'client text {"eventName":""|server close',
        "refuses-unknown-keys": "judge text .*extra",
        "needs-name-first": 'judge text {"payload"',
        "needs-headers": 'judge text {"eventName":"whoami","payload":"x"}$',
        "needs-compact-text": "judge text \\s",
        "dies-of-byte-order-mark": "judge text \ufeff",
        "malformed-unreported": "judge text {not json",
        "folds-case-of-names": 'judge text {"eventName":"(Echo|ECHO|echO)"',
        "binary-is-text": "judge binary",
        "one-message-a-read": "judge text",
        "no-pong": "judge ping",
        "late-pong": "judge ping",
        "no-size-limit": "judge text .*xxx",
        "close-unanswered": "(judge|client) close",
        "own-close-code-lost": "server close 1000",
        "tells-another-close-code": "(judge|server) close",
        "no-disconnected": "client close",
        "disconnected-twice": "client close",
        "connected-after-events": "server text .*at once",
        "handler-errors-swallowed": "judge text .*boom",
        "handler-error-ends-connection": "judge text .*boom",
        "handler-error-escapes": "judge text .*boom",
        "handlers-at-once": "server text .*(slow|echo)",
        "slow-handler-delays-all": "judge text .*beside",
        "messages-fire-lifecycle": '(client|judge) text {"eventName":"connected"',
        "one-id": "server text .*zpt-id",
        "ids-used-again": "server text .*zpt-",
        "deaf-after-one-left": "client text .*still there",
        "malformed-ends-all": "judge text {not json",
        "room-keeps-past-members": "server text .*without you",
        "room-leaves-sender-out": "client text .*to-room",
        "room-ignores-exclude": "judge text .*to-room|server text .*to you",
        "room-members-twice": "server text .*once",
        "room-drops-headers": "server text .*said",
        "room-fails-at-a-closed-member": "judge text .*to-room",
    },
    "client": {
        "payload-key": 'client text .*"data"',
        "payload-as-text": 'client text .*"payload":"0"',
        "integers-through-double": "client text .*9007199254740992",
        "floats-as-integers": 'client text .*"payload":1,',
        "drops-line-separators": "client text .*echo",
        "sends-headers-of-before": 'client text .*"headers":{"a":1,"b":2}',
        "swaps-under-load": "client text .*(48|49)",
        "merges-equal": "client text .*past",
        "sends-long-late": 'client text .*"payload":0',
        "drops-headers": "(server|judge) text .*token",
        "null-headers-refused": 'judge text .*"headers":null',
        "empty-payload-refused": 'judge text {"eventName":"echo","headers":{}}',
        "malformed-escapes": "judge text {not json",
        "wrong-pong": "client pong",
        "one-mask": "client text",
        "silent-peer-unnoticed": "client ping",
        "answers-close-with-1002": "client close 1002",
        "no-offline-by-remote-close": "server close",
        "wrong-close-code": "client close 1000",
        "close-reason-lost": "(judge|client) close",
        "always-gives-reason": "client close 1000 bye",
        "messages-fire-callbacks": 'judge text {"eventName":"disconnected"',
        "handlers-twice-after-reconnect": "server text .*after",
        "sends-again-after-reconnect": "client text .*before",
        "late-handlers-ignored": "(server|judge) text .*late",
        "failure-kept-secret": "(server|judge) text .*fail",
        "error-without-id": "client text .*replyError",
        "error-is-reply": "server text .*replyError",
        "any-event-is-reply": "server text .*echo",
        "request-outlives-connection": "client (text|close)",
        "streams-end-with-connection": "server text .*after",
    },
}
"""By role and name: of each defect that a recorded frame shows, a regular expression for that
frame, as author, kind, the code of a close frame, and text. The others show in callbacks, in the
handshake, in time, or in what is not recorded: bytes that are no frame, a burst's end, what the
judge writes byte by byte."""
