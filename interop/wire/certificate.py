"""Self-signed certificates for the judge's TLS, made by the program `openssl`."""

from __future__ import annotations

import functools
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import TestbedError

__all__ = ["Certificate", "certificate"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that is its own authority, and its key.

    Attributes:
        pem: the certificate as PEM text.
        key: its private key, likewise.
    """

    pem: str
    key: str

    @property
    def with_key(self) -> str:
        """The key and the certificate as one PEM text, as ``serve`` takes it."""
        return self.key + self.pem

    def for_server(self) -> ssl.SSLContext:
        """Return the TLS context of a server that has this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.show_in(context)
        return context

    def show_in(self, context: ssl.SSLContext) -> None:
        """Let the server with this TLS context show this certificate from now on."""
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # it loads from files alone
            file.write(self.with_key)
            file.flush()
            context.load_cert_chain(file.name)

    def for_client(self) -> ssl.SSLContext:
        """Return the TLS context of a client that trusts this certificate alone."""
        return ssl.create_default_context(cadata=self.pem)


@functools.cache
def certificate(host: str, purpose: str = "") -> Certificate:
    """Return the certificate of a host; the same at each call.

    Args:
        host: a name, or an IPv4 address.
        purpose: tells several certificates of one host apart.

    Raises:
        TestbedError: `openssl` is missing, or failed.
    """
    kind = "IP" if host.replace(".", "").isdigit() else "DNS"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30"
    with tempfile.TemporaryDirectory() as folder:
        key, pem = Path(folder, "key"), Path(folder, "pem")
        names = ["-subj", f"/CN=zaptools testbed {purpose}", "-addext"]
        names.append(f"subjectAltName={kind}:{host}")
        try:
            subprocess.run(
                [*command.split(), *names, "-keyout", key, "-out", pem],
                check=True,
                capture_output=True,
                text=True,
            )
        except FileNotFoundError:
            raise TestbedError("the scenarios tls.* need the program openssl") from None
        except subprocess.CalledProcessError as exc:
            raise TestbedError(f"openssl made no certificate: {exc.stderr.strip()}") from exc
        return Certificate(pem.read_text("ascii"), key.read_text("ascii"))
