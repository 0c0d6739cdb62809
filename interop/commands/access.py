"""Shared by the commands that connect to a running server: how to get in."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from ..check.access import unbraced
from ..check.endpoint import Endpoint, parse_endpoint
from ..places import PROGRAM
from .options import given_path

__all__ = ["access_options", "certificate_options", "given_endpoint"]


def access_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for credentials, a subprotocol and certificates."""
    option = parser.add_argument
    option("--header", action="append", default=[], metavar="'NAME: VALUE'",
           help="a header of every handshake; its value is never shown, and ${NAME} in it is "
                "an environment variable's value")  # fmt: skip
    option("--header-file", action="append", default=[], type=given_path, metavar="FILE",
           help="headers of every handshake, one a line")  # fmt: skip
    option("--subprotocol", action="append", default=[], metavar="NAME",
           help="a subprotocol that every handshake offers")  # fmt: skip
    certificate_options(option)


def certificate_options(option: Callable[..., object]) -> None:
    """Add the options for certificates; `option` is the ``add_argument`` of a parser or a group."""
    option("--ca", type=given_path, metavar="FILE",
           help="trust these authorities (PEM) instead of the system's")  # fmt: skip
    option("--insecure", action="store_true", help="accept any certificate")


def given_endpoint(url: str, arguments: argparse.Namespace) -> Endpoint:
    """Return the endpoint at a URL, with the access that `access_options` took.

    A variable that is named as ``$NAME`` gets a note on stderr: it is sent as it is.

    Raises:
        EndpointError: one of them is invalid; says which and why.
    """
    for text in (url, *arguments.header):
        for name in unbraced(text, os.environ):
            note = f"note: ${name} is sent as it is; ${{{name}}} is the variable's value"
            print(f"{PROGRAM}: {note}", file=sys.stderr)  # noqa: T201  # a command line's own note
    return parse_endpoint(
        url,
        headers=arguments.header,
        header_files=arguments.header_file,
        subprotocols=arguments.subprotocol,
        ca=arguments.ca,
        insecure=arguments.insecure,
    )
