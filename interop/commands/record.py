"""``python -m interop record``: a proxy that keeps what a real application and a server say."""

from __future__ import annotations

import argparse
import asyncio
import errno
import ipaddress
import os
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..check.endpoint import parse_endpoint
from ..places import command
from ..reports.causes import counted
from ..signals import interruptible
from ..traffic.masks import Masks
from ..traffic.proxy import Proxy
from ..traffic.recording import Recorder
from .access import certificate_options
from .options import Commands, Stop, at_least, given_path

__all__ = ["add"]

_EPILOG = """\
example:
  {command} record --listen :9000 --upstream wss://staging.example/ws --out day.jsonl
  (point the application at ws://127.0.0.1:9000/ws, use it, press Ctrl-C)
  {command} replay day.jsonl --server ws://127.0.0.1:8000/ws

exit status: 0 all that passed is recorded; 1 some of it is not, as said at the end;
2 the proxy could not begin
"""


def add(commands: Commands) -> None:
    """Add the command."""
    record = commands.add_parser(
        "record", help="keep what a real application and a real server say, through a proxy",
        epilog=_EPILOG.format(command=command()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    record.set_defaults(command=_record)
    option = record.add_argument
    option("--listen", type=_address, default=("127.0.0.1", 9000), metavar="[[HOST]:]PORT",
           help="where the application connects to; loopback if no host is named "
                "(default: :9000)")  # fmt: skip
    option("--upstream", required=True, metavar="URL",
           help="the server, ws:// or wss://; the path that the application asks for is appended "
                "to its path, unless it begins with that")  # fmt: skip
    option("--out", type=given_path, default=Path(), metavar="FILE",
           help="the recording, a new file that its owner alone may read; in a folder, or by "
                "default in the current one, it is named by the time")  # fmt: skip
    certificate_options(option)
    mask = record.add_argument_group("secrets, which are masked before anything is written")
    mask.add_argument("--mask", action="append", default=[], metavar="NAME|/REGEX/",
                      help="mask members, headers, parameters and cookies of this name too, or "
                           "what this pattern finds in any text")  # fmt: skip
    mask.add_argument("--mask-emails", action="store_true", help="mask e-mail addresses too")
    mask.add_argument("--keep", action="append", default=[], metavar="NAME",
                      help="do not mask what has this name")  # fmt: skip
    mask.add_argument("--no-default-masks", action="store_true",
                      help="mask nothing but what --mask names")  # fmt: skip
    option("--text-limit", type=at_least(1), default=1 << 20, metavar="CHARACTERS",
           help="keep so much of a text; a longer one is marked as cut "
                "(default: 1048576)")  # fmt: skip
    option("--limit", type=at_least(1), default=1 << 30, metavar="BYTES",
           help="end the recording, not the proxy, when the file would be larger "
                "(default: 1 GiB)")  # fmt: skip


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if (host and not colon) or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is neither PORT nor [HOST]:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


def _record(arguments: argparse.Namespace, console: Console) -> int:
    upstream = parse_endpoint(arguments.upstream, ca=arguments.ca, insecure=arguments.insecure)
    try:
        masks = Masks(
            arguments.mask,
            keep=arguments.keep,
            defaults=not arguments.no_default_masks,
            emails=arguments.mask_emails,
        )
    except ValueError as exc:
        raise Stop(f"--mask {exc}") from None
    out = arguments.out
    if out.is_dir():
        out /= f"recording-{datetime.now(UTC):%Y%m%d-%H%M%S}.jsonl"
    recorder = Recorder(out, arguments.limit)
    recorder.begin(upstream.shown, upstream.target.partition("?")[0])
    proxy = Proxy(upstream, recorder, masks, longest=arguments.text_limit)
    try:
        with interruptible() as interrupts, asyncio.Runner() as runner:
            interrupts.run(runner, _run(proxy, arguments.listen, console))
    except KeyboardInterrupt:
        pass
    finally:
        recorder.close()
    return _report(proxy, console)


async def _run(proxy: Proxy, listen: tuple[str, int], console: Console) -> None:
    host, port = listen
    try:
        await proxy.start(host, port)
    except OSError as exc:
        proxy.recorder.path.unlink()
        # asyncio's own words have the address as a tuple, and Python 3.13 gives no number where no
        # address is this machine's.
        number = errno.EADDRNOTAVAIL if exc.errno is None else exc.errno
        why = os.strerror(number) if number > 0 else exc.strerror or exc
        raise Stop(f"--listen {host}:{port}: {why}") from None
    shown = f"[{host}]" if ":" in host else host
    _line(console, f"listening on ws://{shown}:{proxy.port}, for {proxy.upstream.shown}; "
                   f"recording into {proxy.recorder.path}; Ctrl-C ends it")  # fmt: skip
    if not _is_loopback(host):
        _line(console, "other machines reach that server through this address")
    try:
        await asyncio.Event().wait()
    finally:
        await proxy.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _report(proxy: Proxy, console: Console) -> int:
    recorder = proxy.recorder
    messages = counted(proxy.events, "message")
    connections = counted(proxy.connections, "connection")
    _line(console, f"{messages} of {connections} are in {recorder.path}")
    if proxy.refused:
        _line(console, f"the server was not always reached: {proxy.refused}")
    for why in sorted(proxy.lost):
        _line(console, f"not recorded from there on: {why}")
    if recorder.failure:
        _line(console, f"what came later is not recorded: {recorder.failure}")
    masked = (f"{name} ({count})" for name, count in sorted(proxy.masks.masked.items()))
    _line(console, f"masked: {', '.join(masked) or 'nothing'}")
    return bool(recorder.failure or proxy.lost)


def _line(console: Console, line: str) -> None:
    console.print(escape(line), highlight=False, soft_wrap=True)
    console.file.flush()
