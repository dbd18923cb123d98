"""Open a key file that needs a password: a program of its own, since a hostile file asks for billions of rounds.

usage: python -I key_file_reader.py < INPUT

The input's first line is the password in base64 (empty: none), the rest is a PKCS#12 file (RFC 7292) or an encrypted PEM
text. It prints the private key and the certificates in PEM form. Exit status 3: cannot be opened; 4: has no private key.
It uses nothing of this project, and gets no environment: no secret but the file's is in its memory.
"""

import base64
import resource
import sys
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

REFUSED = 3
WITHOUT_KEY = 4
CPU_SECONDS = 5
MEMORY_BYTES = 1 << 30
# As PKCS#12 begins.
_SEQUENCE = b"\x30"
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def main() -> None:
    limit_resources()
    password, _, content = sys.stdin.buffer.read().partition(b"\n")
    try:
        key, certificates = opened(content, base64.b64decode(password) or None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        sys.exit(REFUSED)
    if key is None:
        sys.exit(WITHOUT_KEY)
    texts = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
    texts += [certificate.public_bytes(Encoding.PEM) for certificate in certificates]
    sys.stdout.buffer.write(b"".join(texts))


def limit_resources() -> None:
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def opened(content: bytes, password: bytes | None) -> tuple[Any, list[x509.Certificate]]:
    """Return the private key, and the certificates, that of the key first."""
    if not content.startswith(_SEQUENCE):
        # PEM, before which programs such as OpenSSL write the names of what they exported.
        has_certificate = _CERTIFICATE in content
        certificates = x509.load_pem_x509_certificates(content) if has_certificate else []
        return load_pem_private_key(content, password), certificates
    key, own, others = loaded(content, password)
    return key, [certificate for certificate in (own, *others) if certificate]


def loaded(content: bytes, password: bytes | None) -> Any:
    try:
        return pkcs12.load_key_and_certificates(content, password)
    except ValueError:
        if password:
            raise
        # Some programs make no difference between no password and an empty one (RFC 7292 B.1).
        return pkcs12.load_key_and_certificates(content, b"")


if __name__ == "__main__":
    main()
