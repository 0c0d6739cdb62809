"""TLS contexts for loopback, from a self-signed certificate that is for tests alone."""

from __future__ import annotations

import ssl
from pathlib import Path

__all__ = ["client_context", "everywhere", "server_context"]

everywhere = False
"""Whether `tests.support.app.App` and `tests.support.raw.raw_client` use TLS unless told."""

PEM = Path(__file__).with_name("localhost.pem")


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(PEM))
