"""TLS: an identity is proved before anything is sent."""

import datetime
import ipaddress
import socket
import ssl
import struct
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from instances.errors import UnreachableError
from instances.platforms.transport import exchange
from tests.platforms.conftest import SECRET, failure_of


def test_a_host_that_speaks_no_tls_is_unreachable(subject, provider):
    error = failure_of(subject, provider.url.replace("http", "https"), UnreachableError)
    assert str(error).endswith("does not speak TLS on this port. Correct the address.")
    assert provider.requests == []


@pytest.mark.usefixtures("quick")
def test_a_tls_handshake_that_does_not_end_sends_nothing(subject, settings):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        netloc = f"127.0.0.1:{silent.getsockname()[1]}"
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [netloc]
        error = failure_of(subject, f"https://{netloc}/", UnreachableError)
    assert "nothing was sent" in str(error).lower()


def test_a_reset_in_the_tls_handshake_sends_nothing(subject, settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        netloc = f"127.0.0.1:{server.getsockname()[1]}"
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [netloc]
        resetting = threading.Thread(target=reset_one, args=(server,))
        resetting.start()
        error = failure_of(subject, f"https://{netloc}/", UnreachableError)
        resetting.join()
    assert "nothing was sent" in str(error).lower()


def test_a_certificate_of_nobody_is_refused_before_anything_is_sent(subject, settings, tmp_path):
    with TLSServer(tmp_path) as (netloc, paths):
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [netloc]
        error = failure_of(subject, f"https://{netloc}/?password={SECRET}", UnreachableError)
    assert "The certificate is not signed by a trusted authority." in str(error)
    assert paths == []


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ({"address": "192.0.2.1"}, "The certificate is for another host."),
        ({"days_left": -1}, "The certificate has expired."),
    ],
)
def test_the_error_says_what_is_wrong_with_a_certificate(
    subject, settings, tmp_path, certificate, reason
):
    with TLSServer(tmp_path, **certificate) as (netloc, paths):
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [netloc]
        settings.PROVIDER_CA_BUNDLE = str(tmp_path / "certificate.pem")
        error = failure_of(subject, f"https://{netloc}/", UnreachableError)
    assert reason in str(error)
    assert paths == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_the_error_says_that_a_server_only_speaks_an_old_version_of_tls(
    subject, settings, tmp_path
):
    with TLSServer(tmp_path, is_old=True) as (netloc, paths):
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [netloc]
        error = failure_of(subject, f"https://{netloc}/", UnreachableError)
    assert "only speaks a TLS version that is too old." in str(error)
    assert paths == []


def test_a_certificate_of_an_own_authority_is_trusted_where_it_is_named(
    subject, settings, tmp_path
):
    with TLSServer(tmp_path) as (netloc, paths):
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [netloc]
        settings.PROVIDER_CA_BUNDLE = str(tmp_path / "certificate.pem")
        assert exchange(subject, "GET", f"https://{netloc}/me").ok
    assert paths == ["/me"]


def reset_one(server):
    accepted, _ = server.accept()
    # Closing with unread bytes and no lingering resets the connection.
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    accepted.close()


class TLSServer:
    """An HTTPS server with a certificate that nobody vouches for; gives its netloc and the paths it was asked for."""

    def __init__(self, folder, *, is_old=False, **certificate):
        self.paths = []
        self.server = HTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self_signed(folder, **certificate))
        if is_old:
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            context.set_ciphers("ALL:@SECLEVEL=0")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    def _handler(self):
        paths = self.paths

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                paths.append(self.path)
                self.send_response(204)
                self.end_headers()

            do_POST = do_GET  # noqa: N815

        return Handler

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return f"127.0.0.1:{self.server.server_port}", self.paths

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def self_signed(folder, *, address="127.0.0.1", days_left=1):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days_left))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
