"""Defects below the messages: frames, pings, limits, and how a connection ends."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode

from interop.peers.mutant.seams import Message, Seam, override, per_connection, reads
from zaptools import ConnectionClosedError
from zaptools.connection import CloseInfo
from zaptools.transport.writer import apply_mask, text_frame

__all__ = ["CLIENT", "SERVER"]

Seed = Callable[[Seam], None]

_HEADER = 6
"""Bytes of the shortest header of a masked frame."""

_LARGE = 1000


def _of_transport(**methods: Callable[..., Any]) -> Seed:
    """Replace methods of each connection's transport; each takes the original method first."""
    return lambda seam: seam.made.append(partial(_replace_methods, methods))


def _of_closing(**methods: Callable[..., Any]) -> Seed:
    """Replace methods of each connection's `Closing`; see `_of_transport`."""
    return lambda seam: seam.made.append(
        lambda transport: _replace_methods(methods, transport.closing)
    )


def _replace_methods(methods: Mapping[str, Callable[..., Any]], thing: Any) -> None:
    base = type(thing)
    for name, new in methods.items():
        override(thing, **{name: _instead(getattr(base, name), new)})


def _instead(old: Callable[..., Any], new: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments, **more: new(old, *arguments, **more)


def _of_frames(direction: str, change: Callable[[Frame], Frame | None]) -> Seed:
    """Change the frames that the protocol writes (``send_frame``) or reads (``recv_frame``)."""

    def hook(transport: Any) -> None:
        protocol = transport.protocol
        old = getattr(protocol, direction)

        def changed(frame: Frame) -> None:
            new = change(frame)
            if new is not None:
                old(new)

        setattr(protocol, direction, changed)

    return lambda seam: seam.made.append(hook)


def _limited(**limits: Any) -> Seed:
    def hook(transport: Any) -> None:
        transport.limits = replace(transport.limits, **limits)
        if "message_bytes" in limits:
            transport.protocol.max_message_size = limits["message_bytes"]

    return lambda seam: seam.made.append(hook)


# --- Frames -------------------------------------------------------------------------------


def _of(opcode: Opcode, data: bytes | None) -> Callable[[Frame], Frame | None]:
    """Change the data of frames with this opcode; None drops them."""

    def change(frame: Frame) -> Frame | None:
        if frame.opcode is not opcode:
            return frame
        return None if data is None else replace(frame, data=data)

    return change


def _without_last_part(frame: Frame) -> Frame:
    return replace(frame, data=b"") if frame.opcode is Opcode.CONT and frame.fin else frame


def _answers_close_wrongly(transport: Any) -> None:
    protocol = transport.protocol
    old = protocol.send_frame

    def send_frame(frame: Frame) -> None:
        answer = frame.opcode is Opcode.CLOSE and protocol.close_rcvd is not None
        old(replace(frame, data=b"\x03\xea") if answer else frame)

    protocol.send_frame = send_frame


def _pongs_when_idle(transport: Any) -> None:
    def write(writer: Any, frames: list[bytes]) -> None:
        if frames and frames[0][:1] == b"\x8a" and transport.dispatcher.busy:
            asyncio.get_running_loop().call_later(0.02, write, writer, frames)
        else:
            base.write(writer, frames)

    base = override(transport.writer, write=write)


def _unmasked(transport: Any) -> None:
    transport.writer.is_masking = False


def _one_mask(transport: Any) -> None:
    key = b"\x12\x34\x56\x78"

    def send(writer: Any, data: bytes) -> None:
        frame = text_frame(data)
        head = len(frame) - len(data)
        masked = bytes((frame[0], frame[1] | 128)) + frame[2:head] + key + apply_mask(data, key)
        transport.tcp.write(masked)

    override(transport.writer, send=send)


def _binary_is_text(old: Message) -> list[Message]:
    return [old.decode()] if isinstance(old, bytes) else [old]


def _first_of_each_read(transport: Any) -> None:
    base = override(
        transport.dispatcher, feed=lambda dispatcher, messages: base.feed(dispatcher, messages[:1])
    )


def _needs_pongs(transport: Any) -> None:
    """End a connection with no pong in time, whatever else comes."""
    limits, heard = transport.limits, []

    def data_received(transport: Any, data: bytes) -> None:
        if data[:1] == b"\x8a":
            heard.append(data)
        base.data_received(transport, data)

    def check() -> None:
        if not heard:
            transport.start_close(1011, "")

    base = override(transport, data_received=data_received)
    if limits.ping_interval is not None and limits.ping_timeout is not None:
        seconds = limits.ping_interval + limits.ping_timeout
        asyncio.get_running_loop().call_later(seconds, check)


def _pongs_unheard_while_handling(transport: Any) -> None:
    """End a connection whose last pong in time came while a handler ran."""
    limits, pinged = transport.limits, list[bool]()

    def data_received(transport: Any, data: bytes) -> None:
        if data[:1] == b"\x8a" and not transport.dispatcher.busy:
            pinged.clear()
        base.data_received(transport, data)

    def check() -> None:
        if pinged:
            transport.start_close(1011, "")
        else:
            pinged.append(True)
            asyncio.get_running_loop().call_later(limits.ping_timeout, check)

    base = override(transport, data_received=data_received)
    if limits.ping_interval is not None and limits.ping_timeout is not None:
        asyncio.get_running_loop().call_later(limits.ping_interval, check)


def _context_forgotten(transport: Any) -> None:
    for extension in transport.protocol.extensions:
        extension.remote_no_context_takeover = True


def _of_inflating(decode: Callable[..., Any]) -> Seed:
    """Replace how each connection's extension inflates; takes the original method first."""

    def hook(transport: Any) -> None:
        for extension in transport.protocol.extensions:
            _replace_methods({"decode": decode}, extension)

    return per_connection(hook)


def _without_limit(old: Any, extension: Any, frame: Frame, **limit: Any) -> Any:
    return old(extension, frame)


def _plain_ends_context(old: Any, extension: Any, frame: Frame, **limit: Any) -> Any:
    if frame.opcode is Opcode.TEXT and not frame.rsv1:
        extension.decoder = zlib.decompressobj(wbits=-15)
    return old(extension, frame, **limit)


def _control_ends_message(old: Any, extension: Any, frame: Frame, **limit: Any) -> Any:
    if frame.opcode is Opcode.PING:
        extension.decode_cont_data = False
    return old(extension, frame, **limit)


def _corrupt_is_event(old: Any, extension: Any, frame: Frame, **limit: Any) -> Any:
    try:
        return old(extension, frame, **limit)
    except ProtocolError:
        return Frame(Opcode.TEXT, b'{"eventName":"echo"}')


def _large_written_late(transport: Any) -> None:
    """Compress each event as it is sent, and write a large one after the small ones behind it."""

    def send(writer: Any, data: bytes) -> Any:
        if len(data) < _LARGE:
            return base.send(writer, data)
        frame = Frame(Opcode.TEXT, data).serialize(
            mask=writer.is_masking, extensions=transport.protocol.extensions
        )
        asyncio.get_running_loop().call_later(0.005, writer.write, [frame])
        return None

    base = override(transport.writer, send=send)


# --- Endings ------------------------------------------------------------------------------


def _sends_a_little_later(transport: Any) -> None:
    """Keep each event for 5 ms: it is lost where the connection is closed meanwhile."""

    def late(writer: Any, data: bytes) -> None:
        if transport.connection.closed is None:
            base.send(writer, data)

    def send(writer: Any, data: bytes) -> None:
        asyncio.get_running_loop().call_later(0.005, late, writer, data)

    base = override(transport.writer, send=send)


def _long_reason_cut_within_a_character(transport: Any) -> None:
    async def close(connection: Any, code: int = 1000, reason: str = "") -> None:
        data = reason.encode()
        if len(data) <= 123:
            await base.close(connection, code, reason)
        else:
            frame = Frame(Opcode.CLOSE, code.to_bytes(2) + data[:123])
            transport.writer.write([frame.serialize(mask=transport.writer.is_masking)])

    base = override(transport.connection, close=close)


def _closes_without_frame(old: object, transport: Any, code: int, reason: str) -> None:
    transport.tcp.close()


def _ends_without_messages(old: Any, closing: Any, messages: list[Message], writes: Any) -> None:
    old(closing, [], writes)


def _stuck_once_unread(transport: Any) -> None:
    override(transport.writer, resume=lambda writer: None)


def _waits_for_ever_to_send(transport: Any) -> None:
    """Let a send that waits when the connection ends wait on."""

    async def send(connection: Any, *event: Any, **more: Any) -> None:
        was_open = connection.is_open
        try:
            await base.send(connection, *event, **more)
        except ConnectionClosedError:
            if was_open:
                await asyncio.Event().wait()
            raise

    base = override(transport.connection, send=send)


def _tells(**told: Any) -> Callable[..., CloseInfo]:
    def outcome(old: Any, closing: Any, connection: Any) -> CloseInfo:
        info: CloseInfo = old(closing, connection)
        return info._replace(**told)

    return outcome


def _waits_for_ever(old: Any, closing: Any, code: int, reason: str) -> None:
    old(closing, code, reason)
    closing.set_deadline(None)


def _closes_with(code: int, reason: str) -> Callable[..., None]:
    return lambda old, transport, *asked: old(transport, code, reason)


def _always_gives_reason(old: Any, transport: Any, code: int, reason: str) -> None:
    old(transport, code, reason or "bye")


def _lost_is_closed(old: Any, closing: Any, connection: Any) -> CloseInfo:
    info: CloseInfo = old(closing, connection)
    return info if info.by is not None else CloseInfo(1005, "", "remote")


def _needs_whole_request(old: Any, transport: Any, data: bytes) -> None:
    if b"\r\n\r\n" in data:
        old(transport, data)
    else:
        transport.tcp.abort()


def _needs_whole_header(old: Any, transport: Any, data: bytes) -> None:
    if transport.connection is not None and len(data) < _HEADER:
        transport.tcp.abort()
    else:
        old(transport, data)


def _reads_pieces_as_frames(old: Any, transport: Any, data: bytes) -> None:
    size = 38  # of a masked frame with 32 bytes
    old(transport, data[size:] if data.startswith(b"\x81\xa0") else data)


def _drops_garbage(old: Any, transport: Any, events: list[Any], writes: list[bytes]) -> None:
    if events:
        old(transport, events, writes)
    else:
        transport.tcp.close()


SERVER: Mapping[str, Seed] = {
    "no-pong": _of_frames("send_frame", _of(Opcode.PONG, None)),
    "late-pong": lambda seam: seam.made.append(_pongs_when_idle),
    "needs-pongs": lambda seam: seam.made.append(_needs_pongs),
    "pongs-unheard-while-handling": lambda seam: seam.made.append(_pongs_unheard_while_handling),
    "no-pings": _limited(ping_interval=None),
    "no-size-limit": _limited(message_bytes=None),
    "context-forgotten": per_connection(_context_forgotten),
    "ping-ends-compressed-message": _of_inflating(_control_ends_message),
    "corrupt-is-event": _of_inflating(_corrupt_is_event),
    "limit-of-compressed": _of_inflating(_without_limit),
    "compressed-large-late": per_connection(_large_written_late),
    "binary-is-text": reads(lambda transport: _binary_is_text),
    "loses-last-fragment": _of_frames("recv_frame", _without_last_part),
    "one-message-a-read": per_connection(_first_of_each_read),
    "events-before-close-lost": _of_closing(receive=_ends_without_messages),
    "long-reason-cut-in-a-character": per_connection(_long_reason_cut_within_a_character),
    "close-overtakes-sends": per_connection(_sends_a_little_later),
    "close-unanswered": _of_frames("send_frame", _of(Opcode.CLOSE, None)),
    "close-waits-for-ever": _of_closing(start=_waits_for_ever),
    "own-close-code-lost": _of_transport(start_close=_closes_with(1000, "")),
    "tells-another-close-code": _of_closing(outcome=_tells(code=1000)),
    "lost-is-closed": _of_closing(outcome=_lost_is_closed),
    "stuck-once-unread": lambda seam: seam.made.append(_stuck_once_unread),
    "waits-for-ever-to-send": per_connection(_waits_for_ever_to_send),
    "request-in-one-segment": _of_transport(receive_opening=_needs_whole_request),
    "header-in-one-segment": _of_transport(data_received=_needs_whole_header),
    "pieces-read-as-frames": _of_transport(data_received=_reads_pieces_as_frames),
    "garbage-unanswered": _of_transport(receive_handshake=_drops_garbage),
}
"""Defects of servers."""

CLIENT: Mapping[str, Seed] = {
    "busy-hears-no-pong": lambda seam: seam.made.append(_pongs_unheard_while_handling),
    "pong-once-idle": lambda seam: seam.made.append(_pongs_when_idle),
    "stuck-once-not-read": lambda seam: seam.made.append(_stuck_once_unread),
    "waits-for-ever-to-be-read": per_connection(_waits_for_ever_to_send),
    "wrong-pong": _of_frames("send_frame", _of(Opcode.PONG, b"")),
    "unmasked": lambda seam: seam.made.append(_unmasked),
    "one-mask": lambda seam: seam.made.append(_one_mask),
    "uncompressed-ends-context": _of_inflating(_plain_ends_context),
    "pinged-message-not-inflated": _of_inflating(_control_ends_message),
    "corrupt-is-handled": _of_inflating(_corrupt_is_event),
    "limit-of-what-is-compressed": _of_inflating(_without_limit),
    "compresses-large-late": per_connection(_large_written_late),
    "silent-peer-unnoticed": _limited(ping_timeout=None),
    "one-event-a-read": per_connection(_first_of_each_read),
    "loses-events-before-close": _of_closing(receive=_ends_without_messages),
    "answers-close-with-1002": lambda seam: seam.made.append(_answers_close_wrongly),
    "closes-before-it-sends": per_connection(_sends_a_little_later),
    "wrong-close-code": _of_transport(start_close=_closes_with(1000, "")),
    "close-without-frame": _of_transport(start_close=_closes_without_frame),
    "close-reason-lost": _of_closing(outcome=_tells(reason="")),
    "always-gives-reason": _of_transport(start_close=_always_gives_reason),
}
"""Defects of clients."""
