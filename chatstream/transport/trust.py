"""Trust: the TLS context of every connection, and why a secure connection failed.

The certificates come from the first of these that is given:

1. `ca_file`, the setting: a PEM file, or a folder of them; `~` is the home folder.
2. REQUESTS_CA_BUNDLE, else CURL_CA_BUNDLE: a file or a folder, as requests takes them.
3. SSL_CERT_FILE and SSL_CERT_DIR, as OpenSSL takes them: each replaces one half of the system's
   store, the file or the folders.
4. The system's store. On macOS and Windows the system itself verifies, through `truststore`;
   elsewhere OpenSSL reads the files that the distribution maintains.
5. certifi, where the system has no store: a container without the package ca-certificates.

Certificates that are named and cannot be used are a `ConfigError`: to use others instead would
mean to trust servers that the user did not choose.

requests and urllib3 are not imported here: a connection may be made before they are.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from chatstream.errors import ChatstreamError, ConfigError, ConnectError, TLSError
from chatstream.redact import show_url

_BUNDLES = (
    "/etc/ssl/cert.pem",  # Alpine, Arch, the BSDs, Fedora 34 to 43
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/cert.pem",  # Fedora and RHEL before
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, NixOS
    "/etc/ssl/ca-bundle.pem",  # SUSE
)
"""Where distributions keep their store, for a Python whose OpenSSL was built elsewhere (uv's).

The list is that of truststore, whose own source is certifi-system-store.
"""

_HASHED = r"[0-9a-f]{8}\.\d+"
"""The name of a certificate that OpenSSL finds in a folder by itself, when it is needed."""

_PEM_NAMES = (".pem", ".crt", ".cer")

_TO_BE_NAMED = "name a PEM file (it has a line BEGIN CERTIFICATE) or a folder of such files"
_AUTHORITY = (
    "for a private or company certificate authority, name its PEM file with ca_file "
    "or SSL_CERT_FILE"
)

_REFUSED = {  # X509_V_ERR_…: what is wrong with the certificate, and what to do
    9: ("is not valid yet", "check the date and time of this machine"),
    10: (
        "has expired",
        "check this machine's date; if it is right, the server needs a new certificate",
    ),
    18: ("is self-signed", "if you trust it, name its PEM file with ca_file or SSL_CERT_FILE"),
    19: ("comes from an authority that is not trusted here", _AUTHORITY),
    20: ("comes from an authority that is not trusted here", _AUTHORITY),
    21: ("comes from an authority that is not trusted here", _AUTHORITY),
    23: ("has been revoked", "the server needs a new certificate"),
    62: ("is for another host name", "in the address, use a name that the certificate covers"),
    64: ("is not for this IP address", "in the address, use a name that the certificate covers"),
}

_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
"""What OpenSSL says about bytes that are not TLS; which of them depends on its version."""


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """A context for clients that verifies names and certificates; see the rules above.

    Raises `ConfigError` for certificates that are named and cannot be used.
    """
    named = _named(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if named else _of_the_system()
    for name, places in named:
        _load_named(context, name, places)
    context.hostname_checks_common_name = False
    # A file may hold no more than the server's certificate, or that of an authority in between.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["http/1.1"])
    if log := os.environ.get("SSLKEYLOGFILE"):
        context.keylog_filename = log
    return context


def failure(error: BaseException, url: str) -> ChatstreamError:
    """The failure of a handshake with the server of `url`; most often for an `ssl.SSLError`."""
    where = show_url(url)
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = error.verify_message or str(error)
        what, hint = _REFUSED.get(error.verify_code, (f"is not accepted: {detail}", _AUTHORITY))
        return TLSError(f"no secure connection to {where}: its certificate {what}", hint=hint)
    reason = getattr(error, "reason", None)
    if reason in _NO_TLS:
        return TLSError(
            f"no secure connection to {where}: the server does not speak TLS",
            hint=f"if it speaks plain HTTP, write {plain(where)}",
        )
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ConnectError(
            f"the connection to {where} ended during the TLS handshake",
            hint=f"check the port; if it speaks plain HTTP, write {plain(where)}",
        )
    detail = reason.replace("_", " ").lower() if isinstance(reason, str) else str(error)
    return TLSError(f"no secure connection to {where}: {detail}")


def plain(url: str) -> str:
    """The server of an https URL as it is asked without TLS, for a hint."""
    return f"http://{urlsplit(url).netloc}"


def _named(ca_file: str | None) -> list[tuple[str, list[str]]]:
    """The settings and variables that hold, each with the places it names."""
    if ca_file:
        return [("ca_file", [ca_file])]
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if place := os.environ.get(variable):
            return [(variable, [place])]
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folders:
        return []
    usual = ssl.get_default_verify_paths()
    return [
        ("SSL_CERT_FILE", [file]) if file else ("", [usual.openssl_cafile]),
        ("SSL_CERT_DIR", folders.split(os.pathsep)) if folders else ("", [usual.openssl_capath]),
    ]


def _load_named(context: ssl.SSLContext, name: str, places: Sequence[str]) -> None:
    """Load each place that there is. Raises `ConfigError` if places are named and none exists."""
    problem, loaded = "it names no file", False
    for place in filter(None, places):
        path = Path(os.path.expanduser(place))  # noqa: PTH111 - it never raises
        try:
            _load(context, path)
            loaded = True
        except ssl.SSLError:
            problem = f"{path} contains no PEM certificate"
        except (OSError, ValueError) as error:
            problem = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
    if name and not loaded:
        raise ConfigError(f"{name}: {problem}", hint=_TO_BE_NAMED)


def _load(context: ssl.SSLContext, path: Path) -> None:
    """Load a file or a folder. Raises `OSError`: an `ssl.SSLError` where it has no certificate."""
    if not path.is_dir():
        context.load_verify_locations(cafile=path)
    elif _is_hashed(path):
        context.load_verify_locations(capath=path)
    else:
        files = [it for it in sorted(path.iterdir()) if it.suffix.lower() in _PEM_NAMES]
        if not sum(_loads(context, it) for it in files):
            raise ssl.SSLError("no certificates")


def _loads(context: ssl.SSLContext, file: Path) -> bool:
    with suppress(OSError):
        context.load_verify_locations(cafile=file)
        return True
    return False


def _is_hashed(folder: Path) -> bool:
    return any(re.fullmatch(_HASHED, it.name) for it in folder.iterdir())


def _of_the_system() -> ssl.SSLContext:
    """A context that trusts what the system trusts."""
    if sys.platform in {"darwin", "win32"}:
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    usual = ssl.get_default_verify_paths()
    file, folder = Path(usual.openssl_cafile), Path(usual.openssl_capath)
    hashed = folder.is_dir() and _is_hashed(folder)
    if hashed:  # free: OpenSSL reads a certificate when a server needs it
        context.load_verify_locations(capath=folder)
        # Debian's file is in the folder, and made from it. To load it takes 24 ms.
        if file.resolve().is_relative_to(folder.resolve()):
            return context
    if _loads(context, file) or hashed or any(_loads(context, Path(it)) for it in _BUNDLES):
        return context
    import certifi

    context.load_verify_locations(cafile=certifi.where())
    return context
