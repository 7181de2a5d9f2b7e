"""TLS for loopback servers: a throwaway certificate, and a stream two threads may use at once."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.support.unavailable import Unavailable

T = TypeVar("T")

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
EXTENSIONS = """\
subjectAltName = DNS:localhost, DNS:server.test, IP:127.0.0.1
basicConstraints = critical, CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True)
class Certificate:
    """PEM files: the authority a client has to trust, the server's certificate and its key."""

    ca: Path
    cert: Path
    key: Path


def make_certificate(folder: Path, days: int = 30) -> Certificate:
    """Make ca.pem, and cert.pem with key.pem for localhost and 127.0.0.1, with `openssl`.

    `days`: how long the server's certificate holds; a negative number makes one that has expired.
    """
    if not shutil.which("openssl"):
        raise Unavailable("TLS needs the openssl command")
    (folder / "extensions").write_text(EXTENSIONS)
    # `req -x509` adds basicConstraints CA:TRUE and the key identifiers by itself.
    authority = ["-subj", "/CN=throwaway CA", "-addext", "keyUsage = critical, keyCertSign"]
    signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions"]
    for command in (
        ["req", "-x509", *CURVE, *authority, "-days", "30", "-keyout", "ca.key", "-out", "ca.pem"],
        ["req", *CURVE, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem"],
        ["x509", "-req", "-in", "request.pem", *signer, "-days", str(days), "-out", "cert.pem"],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return Certificate(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")


class TLSStream:
    """The server's end of TLS over `sock`: one thread may recv() while another does sendall().

    ssl.SSLSocket must not be used that way, so this decrypts and encrypts in memory under a lock
    and waits for the network outside of it.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_side=True)
        self._lock = threading.Lock()

    def handshake(self) -> None:
        """Raises OSError when the client does not trust the certificate or hangs up."""
        self._complete(self._tls.do_handshake)

    def recv(self, size: int) -> bytes:
        """What the client sent next, b"" at its end."""
        try:
            return self._complete(lambda: self._tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def sendall(self, data: bytes) -> None:
        """Send it as one record (or more, above 16 KiB)."""
        with self._lock:
            self._tls.write(data)
            self._sock.sendall(self._to_send.read())

    def close_notify(self) -> None:
        """Say that nothing follows; a connection that is cut lacks this."""
        with self._lock:
            try:
                self._tls.unwrap()
            except ssl.SSLWantReadError:  # the client's own close_notify: not waited for
                self._sock.sendall(self._to_send.read())

    def _complete(self, step: Callable[[], T]) -> T:
        """Repeat `step` with more of the client's bytes until it has enough."""
        while True:
            with self._lock:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    pass
                finally:
                    if self._to_send.pending:
                        self._sock.sendall(self._to_send.read())
            data = self._sock.recv(65536)
            with self._lock:
                if data:
                    self._received.write(data)
                else:
                    self._received.write_eof()
