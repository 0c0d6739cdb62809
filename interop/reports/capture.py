"""A recorded cell as a packet capture, which Wireshark opens and dissects as WebSocket. Pure.

What was recorded are messages and times. All below them is made up: the addresses and ports, the
TCP segments with their numbers, the handshake but for what of it was recorded, and masking keys.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from msgspec import structs

from ..records import KEPT_BYTES, OTHER, CellResult, ConnectionRecord, FrameRecord, Role
from ..wire.frames import NO_CODE, frame
from ..wire.http import Head, answer, request
from ..wire.rules import OPCODES
from .timeline import public_headers

__all__ = ["MADE_UP", "capture", "is_whole", "missing"]

MADE_UP = (
    "made from a record of messages: addresses, ports, TCP numbers, masking keys and what is not "
    "recorded of the handshakes are made up; messages are shown whole and without compression"
)

_ADDRESSES: dict[Role, bytes] = {"client": bytes((192, 0, 2, 1)), "server": bytes((192, 0, 2, 2))}
"""Of TEST-NET-1 (RFC 5737): no real host has them."""

_SERVER_PORT = 80
_FIRST_PORT = 50000
_MASK = b"mask"
_SEGMENT = 32768
"""Bytes of data in a packet at most: IPv4 has room for 65,495."""

_RAW_IP = 101  # LINKTYPE_RAW
_FIN, _SYN, _PSH, _ACK = 1, 2, 8, 16


def is_whole(frame: FrameRecord) -> bool:
    """Whether all of a frame's payload is in its record."""
    return frame.length <= KEPT_BYTES and len(frame.text.encode()) == frame.length


def missing(cell: CellResult) -> list[str]:
    """Return in words what of a cell's frames its record does not have."""
    cut = sum(not is_whole(each) for each in cell.frames)
    beyond = cell.frames_total - len(cell.frames)
    found = [
        cut and f"{cut} of {len(cell.frames)} frames are cut: only their beginning was recorded",
        beyond and f"{beyond} more frames followed, which were not recorded",
    ]
    return [words for words in found if words]


def capture(cell: CellResult, *, epoch: float) -> bytes:
    """Return a cell's frames as a file in the format pcapng.

    A frame of which only the beginning was recorded is a packet that is cut in the capture: it has
    its true length, and a comment.

    Args:
        epoch: when the cell's time began, as `time.time` has it.
    """
    file = _File(epoch)
    names = f"{cell.server} <-> {cell.client}, {cell.scenario}"
    file.begin("\n".join([names, MADE_UP, *missing(cell)]))
    streams: dict[int, _Stream] = {}
    connections = cell.connections or [ConnectionRecord(0.0, "/", [], 101)]
    for number, connection in enumerate(connections, 1):
        streams[number] = _Stream(file, number, connection)
    for frame_record in cell.frames:
        if frame_record.connection not in streams:  # of connections too only the first are kept
            opened = structs.replace(connections[0], t_ms=frame_record.t_ms, ended=None)
            streams[frame_record.connection] = _Stream(file, frame_record.connection, opened)
        streams[frame_record.connection].add(frame_record)
    for stream in streams.values():
        stream.end()
    return file.whole()


@dataclass
class _Packet:
    t_ms: float
    data: bytes
    length: int
    comment: str = ""


@dataclass
class _File:
    """The blocks of a pcapng file (draft-ietf-opsawg-pcapng, section 4)."""

    epoch: float
    head: bytes = b""
    packets: list[_Packet] = field(default_factory=list)

    def begin(self, comment: str) -> None:
        section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
        self.head = _block(0x0A0D0D0A, section, comment)
        self.head += _block(1, struct.pack("<HHI", _RAW_IP, 0, 0))

    def whole(self) -> bytes:
        """Return the file, with its packets in the order of time."""
        return self.head + b"".join(map(self._packet, sorted(self.packets, key=lambda p: p.t_ms)))

    def _packet(self, packet: _Packet) -> bytes:
        when = round(self.epoch * 1_000_000 + packet.t_ms * 1000)  # the default is microseconds
        body = struct.pack(
            "<IIIII", 0, when >> 32, when & 0xFFFFFFFF, len(packet.data), packet.length
        )
        return _block(6, body + _padded(packet.data), packet.comment)


def _block(kind: int, body: bytes, comment: str = "") -> bytes:
    if comment:
        text = comment.encode()
        body += struct.pack("<HH", 1, len(text)) + _padded(text) + bytes(4)
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


class _Stream:
    """One TCP connection, from its three-way handshake on."""

    def __init__(self, file: _File, number: int, connection: ConnectionRecord) -> None:
        self._file = file
        self._ports: dict[Role, int] = {
            "client": _FIRST_PORT + number % 10_000,
            "server": _SERVER_PORT,
        }
        self._next: dict[Role, int] = {"client": 1000, "server": 2000}
        self._ended = connection.ended
        self._last = connection.t_ms
        self._segment(connection.t_ms, "client", _SYN)
        self._segment(connection.t_ms, "server", _SYN | _ACK)
        self._segment(connection.t_ms, "client", _ACK)
        self._handshake(connection)

    def _handshake(self, connection: ConnectionRecord) -> None:
        extra = public_headers(connection.headers)
        asked = request(host="192.0.2.2", path=connection.target or "/", extra=extra)
        self._data(connection.t_ms, "client", asked, len(asked))
        if not connection.status:
            return
        key = asked.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
        head = Head("", [("Sec-WebSocket-Key", key)])
        chosen = [("Sec-WebSocket-Protocol", connection.protocol)] if connection.protocol else []
        status = "101 Switching Protocols" if connection.status == 101 else str(connection.status)
        headers = (
            {} if connection.status == 101 else {"Upgrade": None, "Sec-WebSocket-Accept": None}
        )
        answered = answer(head, status=status, headers=headers, extra=chosen)
        self._data(connection.t_ms, "server", answered, len(answered))

    def add(self, record: FrameRecord) -> None:
        """Add a frame."""
        opcode = next(code for code, name in OPCODES.items() if name == record.kind)
        data = record.text.encode()
        length = record.length
        whole = is_whole(record)
        if not whole:
            data = data[:length]  # bytes that are no text are escaped in a record, and longer
        if record.kind == "close" and record.code not in (None, NO_CODE):
            assert record.code is not None
            data, length = record.code.to_bytes(2, "big") + data, length + 2
        author = OTHER[record.to]  # the judge, too, stands for the side that it writes to
        mask = _MASK if author == "client" else None
        written = frame(opcode, data + bytes(length - len(data)), mask=mask)
        kept = len(written) - (length - len(data))
        comment = "" if whole else (
            f"only the beginning of this {record.kind} frame of {record.length} bytes was recorded"
        )  # fmt: skip
        self._data(record.t_ms, author, written[:kept], len(written), comment)

    def end(self) -> None:
        """Add its end, where that was recorded."""
        if self._ended is None:
            return
        when = max(self._last, self._ended.t_ms)
        first: Role = "client" if self._ended.by == "client" else "server"
        for side in (first, OTHER[first]):
            self._segment(when, side, _FIN | _ACK)
        self._segment(when, first, _ACK)

    def _data(self, t_ms: float, author: Role, data: bytes, length: int, comment: str = "") -> None:
        """Add data of that length, of which the beginning is there."""
        for start in range(0, max(length, 1), _SEGMENT):
            part = data[start : start + _SEGMENT]
            size = min(_SEGMENT, length - start)
            self._segment(t_ms, author, _PSH | _ACK, part, size, comment)
        self._segment(t_ms, OTHER[author], _ACK)

    def _segment(
        self,
        t_ms: float,
        author: Role,
        flags: int,
        data: bytes = b"",
        length: int = 0,
        comment: str = "",
    ) -> None:
        self._last = max(self._last, t_ms)
        other = OTHER[author]
        acknowledged = self._next[other] if flags & _ACK else 0
        ports = self._ports[author], self._ports[other]
        number = self._next[author]
        # Its checksum is of the whole, which may not be there.
        tcp = struct.pack("!HHIIBBHHH", *ports, number, acknowledged, 5 << 4, flags, 65535, 0, 0)
        ends = _ADDRESSES[author] + _ADDRESSES[other]
        if len(data) == length:
            pseudo = ends + struct.pack("!BBH", 0, 6, len(tcp) + length)
            tcp = tcp[:16] + struct.pack("!H", _checksum(pseudo + tcp + data)) + tcp[18:]
        size = 20 + len(tcp) + length
        ip = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 1 << 14, 64, 6, 0) + ends
        ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
        self._file.packets.append(_Packet(self._last, ip + tcp + data, size, comment))
        self._next[author] = (number + length + bool(flags & (_SYN | _FIN))) % (1 << 32)


def _checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
