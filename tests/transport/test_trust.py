"""Whose certificates are accepted, and what is said where one is not."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
import types
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import certifi
import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError, ConfigError, ConnectError, TimedOut, TLSError
from chatstream.transport import Call, Transport, trust
from tests.support.listener import Listener
from tests.support.loopback import Reply, Script
from tests.support.names import Names, at
from tests.support.tls import Certificate, make_certificate

VARIABLES = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, no_proxies: None) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def server(certificate: Certificate) -> Script:
    return Script(Reply(b"ok"), https=certificate)


def ask(url: str, ca_file: str | None = None, connect: float = 5.0) -> bytes:
    with closing(Transport(connect=connect, ca_file=ca_file)) as transport:
        items = list(transport.exchange(Call(url, {}, b"{}"), CancelToken()))
    return b"".join(item for item in items if isinstance(item, bytes))


def system(monkeypatch: pytest.MonkeyPatch, file: Path, folder: Path) -> None:
    """Let these be the places where this OpenSSL looks, and no distribution's."""
    usual = ssl.get_default_verify_paths()
    paths = usual._replace(openssl_cafile=str(file), openssl_capath=str(folder))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(trust, "_BUNDLES", ())


def hashed(folder: Path, certificate: Path) -> Path:
    """A folder as OpenSSL wants it."""
    folder.mkdir()
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(certificate)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    shutil.copy(certificate, folder / f"{name}.0")
    return folder


# ---- where certificates come from

PLACES: dict[str, Callable[[Path, Path], Path]] = {
    "file": lambda ca, _: ca,
    "folder": lambda ca, new: Path(shutil.copytree(ca.parent, new)),
    "hashed folder": lambda ca, new: hashed(new, ca),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["ca_file", *VARIABLES])
def test_the_authority_that_is_named_is_trusted(
    name: str,
    place: str,
    server: Script,
    certificate: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = PLACES[place](certificate.ca, tmp_path / "certificates")
    if name != "ca_file":
        monkeypatch.setenv(name, str(where))
    with server:
        assert ask(server.url, str(where) if name == "ca_file" else None) == b"ok"


def test_the_home_folder_may_be_written_as_a_tilde(
    server: Script, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(certificate.ca, tmp_path / "ca.pem")
    with server:
        assert ask(server.url, "~/ca.pem") == b"ok"


def test_the_servers_own_certificate_is_enough(server: Script, certificate: Certificate) -> None:
    with server:
        assert ask(server.url, str(certificate.cert)) == b"ok"


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        ("ca_file", "REQUESTS_CA_BUNDLE"),
        ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        ("CURL_CA_BUNDLE", "SSL_CERT_FILE"),
    ],
)
def test_the_strongest_that_is_named_counts_alone(
    strong: str,
    weak: str,
    server: Script,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, other = str(certificate.ca), certifi.where()

    def given(strong_file: str, weak_file: str) -> bytes:
        monkeypatch.setenv(weak, weak_file)
        if strong != "ca_file":
            monkeypatch.setenv(strong, strong_file)
        return ask(server.url, strong_file if strong == "ca_file" else None)

    with server:
        assert given(good, other) == b"ok"
        with pytest.raises(TLSError):
            given(other, good)


def test_requests_adds_no_certificates_of_its_own(
    server: Script, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate.ca))
    with server, pytest.raises(TLSError):
        ask(server.url, certifi.where())


def test_an_empty_variable_names_nothing(
    server: Script, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.ca))
    with server:
        assert ask(server.url) == b"ok"


def test_one_folder_of_several_is_enough(
    server: Script, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", f"/no/such/folder:{certificate.ca.parent}")
    with server:
        assert ask(server.url) == b"ok"


@pytest.mark.parametrize("place", ["file", "hashed folder"])
def test_the_systems_store_is_trusted(
    place: str,
    server: Script,
    certificate: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = PLACES[place](certificate.ca, tmp_path / "certificates")
    nothing = tmp_path / "nothing"
    system(monkeypatch, where, nothing) if where.is_file() else system(monkeypatch, nothing, where)
    with server:
        assert ask(server.url) == b"ok"


def test_a_bundle_in_the_hashed_folder_is_not_read(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hashed(tmp_path / "certificates", certificate.ca)
    shutil.copy(certifi.where(), folder / "ca-certificates.crt")
    (tmp_path / "cert.pem").symlink_to(folder / "ca-certificates.crt")
    system(monkeypatch, tmp_path / "cert.pem", folder)
    assert trust.tls_context().cert_store_stats()["x509"] == 0  # OpenSSL reads it when needed


def test_the_file_of_a_distribution_is_found_where_openssl_does_not_look(
    server: Script, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system(monkeypatch, tmp_path / "nothing", tmp_path)
    monkeypatch.setattr(trust, "_BUNDLES", (str(tmp_path / "none"), str(certificate.ca)))
    with server:
        assert ask(server.url) == b"ok"


def test_without_a_store_the_certificates_of_certifi_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system(monkeypatch, tmp_path / "nothing", tmp_path / "nothing")
    assert trust.tls_context().cert_store_stats()["x509_ca"] > 100


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_macos_and_windows_verify_themselves(
    platform: str, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Native(ssl.SSLContext):
        pass

    monkeypatch.setitem(sys.modules, "truststore", types.SimpleNamespace(SSLContext=Native))
    monkeypatch.setattr(sys, "platform", platform)
    assert isinstance(trust.tls_context(), Native)
    assert not isinstance(trust.tls_context(str(certificate.ca)), Native)


# ---- what cannot be used


def nothing(tmp_path: Path) -> Path:
    return tmp_path / "nothing.pem"


def no_certificate(tmp_path: Path) -> Path:
    (tmp_path / "text.pem").write_text("no certificate\n")
    return tmp_path / "text.pem"


def an_empty_file(tmp_path: Path) -> Path:
    (tmp_path / "empty.pem").touch()
    return tmp_path / "empty.pem"


def an_empty_folder(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def a_circle(tmp_path: Path) -> Path:
    """A link to itself: it can be read by nobody, not even by root."""
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    return tmp_path / "circle"


BROKEN = [nothing, no_certificate, an_empty_file, an_empty_folder, a_circle]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("name", ["ca_file", *VARIABLES])
def test_what_is_named_and_cannot_be_used_is_a_configuration_error(
    name: str,
    broken: Callable[[Path], Path],
    server: Script,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = broken(tmp_path)
    if name != "ca_file":
        monkeypatch.setenv(name, str(where))
    with server:
        with pytest.raises(ConfigError) as caught:
            ask(server.url, str(where) if name == "ca_file" else None)
        assert server.connections == []
    assert caught.value.message.startswith(f"{name}: {where} ")
    assert "PEM" in (caught.value.hint or "")


def test_a_wrong_ca_file_is_told_before_a_plain_server_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ca_file"):
        Transport(ca_file=str(tmp_path / "nothing.pem"))


def test_a_wrong_variable_is_nobodys_matter_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    with Script(Reply(b"ok")) as server:
        assert ask(server.url) == b"ok"


# ---- why a connection is refused


class Answers(Listener):
    """Sends the same bytes to everyone who says something, and closes."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def handle(self, number: int, sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(self._data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


class Silent(Listener):
    """Takes connections, and never says anything."""

    def handle(self, number: int, sock: socket.socket) -> None:
        while sock.recv(65536):
            pass


def refused(url: str, ca_file: Path | None = None, connect: float = 5.0) -> ChatstreamError:
    with pytest.raises(ChatstreamError) as caught:
        ask(url, str(ca_file) if ca_file else None, connect)
    return caught.value


def test_an_unknown_authority_is_told_with_how_to_trust_it(server: Script) -> None:
    with server:
        error = refused(server.url)
    assert isinstance(error, TLSError)
    assert "authority that is not trusted" in error.message
    assert "ca_file" in (error.hint or "")


def test_a_certificate_that_has_expired_is_told(tmp_path: Path) -> None:
    expired = make_certificate(tmp_path, days=-1)
    with Script(Reply(b"ok"), https=expired) as server:
        error = refused(server.url, expired.ca)
    assert isinstance(error, TLSError)
    assert "its certificate has expired" in error.message
    assert "ca_file" not in (error.hint or "")


@pytest.mark.parametrize("host", ["127.0.0.2", "other.test"])
def test_a_certificate_for_another_server_is_told(
    host: str, server: Script, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server:
        if host == "other.test":
            Names(monkeypatch)
        else:
            monkeypatch.setattr(socket, "getaddrinfo", _leads_to(server.port))
        error = refused(at(host, server.url), certificate.ca)
    assert isinstance(error, TLSError)
    assert "is for another host name" in error.message or "not for this IP" in error.message
    assert "use a name" in (error.hint or "")


def _leads_to(port: int) -> Callable[..., list[tuple[object, ...]]]:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    return lambda *args, **options: found  # type: ignore[return-value]


def test_a_self_signed_certificate_is_told(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    own = Certificate(made.ca, made.ca, tmp_path / "ca.key")
    with Script(Reply(b"ok"), https=own) as server:
        error = refused(server.url)
    assert isinstance(error, TLSError)
    assert "its certificate is self-signed" in error.message
    assert "ca_file" in (error.hint or "")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n"])
def test_a_server_without_tls_is_told_with_its_address(answer: bytes) -> None:
    with Answers(answer) as server:
        error = refused(f"https://127.0.0.1:{server.port}/v1")
    assert isinstance(error, TLSError)
    assert "does not speak TLS" in error.message
    assert (error.hint or "").endswith(f"http://127.0.0.1:{server.port}")


def test_a_server_that_hangs_up_in_the_handshake_may_be_tried_again() -> None:
    with Answers(b"") as server:
        error = refused(f"https://127.0.0.1:{server.port}/v1")
    assert isinstance(error, ConnectError)
    assert "http://127.0.0.1" in (error.hint or "")
    assert error.retryable


def test_a_handshake_that_does_not_end_is_a_timeout_that_says_so() -> None:
    with Silent() as server:
        error = refused(f"https://127.0.0.1:{server.port}/v1", connect=0.2)
    assert isinstance(error, TimedOut)
    assert error.phase == "connect"
    assert "TLS handshake" in error.message
    assert "http://127.0.0.1" in (error.hint or "")


def test_a_server_that_wants_tls_and_hangs_up_is_told_with_its_address(server: Script) -> None:
    with server:
        address = server.url.removeprefix("https")
        error = refused(f"http{address}")
    assert isinstance(error, ConnectError)
    assert f"https{address}" in (error.hint or "")


@pytest.mark.parametrize("code", [9, 10, 18, 19, 20, 21, 23, 62, 64, 7, -2])
def test_each_reason_to_refuse_a_certificate_has_one_hint(code: int) -> None:
    problem = ssl.SSLCertVerificationError(1, "why")
    problem.verify_code, problem.verify_message = code, "its own words"
    error = trust.failure(problem, "https://me:secret@server.test/v1")
    assert isinstance(error, TLSError)
    assert "https://server.test/v1" in error.message
    assert error.hint
    assert ("its own words" in error.message) == (code in {7, -2})
