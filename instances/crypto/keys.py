"""Private keys of accounts: read from PEM texts, and checked before they are stored."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

# RFC 7518 3.3 and 3.5: at least 2048. To check one of 4096 bits takes a second, and longer ones take several.
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096
_KEY_BEGINS = "-----BEGIN "
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class SigningAlgorithm(StrEnum):
    """How assertions are signed (RFC 7518 3.1)."""

    RS256 = "RS256"
    PS256 = "PS256"
    ES256 = "ES256"


class UnusableKeyError(ValueError):
    """A text is not a private key that can sign. The message is a predicate, and contains nothing of the text."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that fits its algorithm, and its certificate if the text had one."""

    private_key: RSAPrivateKey | EllipticCurvePrivateKey = field(repr=False)
    algorithm: SigningAlgorithm
    certificate: x509.Certificate | None = None

    @property
    def thumbprint(self) -> str:
        """The certificate's SHA-256 in base64url, which x5t#S256 carries (RFC 7515 4.1.8); empty without one."""
        if self.certificate is None:
            return ""
        digest = self.certificate.fingerprint(SHA256())
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @property
    def certificate_ends_at(self) -> datetime | None:
        """Aware, UTC."""
        return self.certificate.not_valid_after_utc if self.certificate else None

    def to_pem(self) -> str:
        """Return the private key and its certificate, without those of a chain."""
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        texts = [self.private_key.private_bytes(*form)]
        if self.certificate:
            texts.append(self.certificate.public_bytes(Encoding.PEM))
        return b"".join(texts).decode()


def check_signing_key(text: str, algorithm: SigningAlgorithm) -> SigningKey:
    """Read a PEM text that was just entered, and check also the numbers of an RSA key and the end of the certificate.

    Raises UnusableKeyError.
    """
    key = read_signing_key(text, algorithm)
    _load(_key_block(text), is_checked=False)
    ends_at = key.certificate_ends_at
    if ends_at and ends_at <= datetime.now(UTC):
        raise UnusableKeyError(
            f"has a certificate that ended on {ends_at:%Y-%m-%d}. Create a new one, and register it at the provider."
        )
    return key


def read_signing_key(text: str, algorithm: SigningAlgorithm) -> SigningKey:
    """Read a PEM text: one private key (PKCS#1, PKCS#8 or SEC 1), and perhaps its certificate.

    Raises UnusableKeyError.
    """
    private_key = _load(_key_block(text), is_checked=True)
    _require_fit(private_key, algorithm)
    certificates = [block for block in _pem_blocks(text) if block.startswith(_CERTIFICATE)]
    return SigningKey(private_key, algorithm, _certificate_of(private_key, certificates))


def _key_block(text: str) -> str:
    keys = [b for b in _pem_blocks(text) if "PRIVATE KEY-----" in b.partition("\n")[0]]
    if len(keys) != 1:
        many = "more than one private key" if keys else "no private key"
        raise UnusableKeyError(
            f"contains {many} in PEM form. Paste the text from -----BEGIN PRIVATE KEY----- to its END line."
        )
    return keys[0]


def _pem_blocks(text: str) -> list[str]:
    lines = "\n".join(line.strip() for line in text.splitlines())
    return [_KEY_BEGINS + block for block in lines.split(_KEY_BEGINS)[1:]]


def _load(block: str, *, is_checked: bool) -> RSAPrivateKey | EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(
            block.encode(), password=None, unsafe_skip_rsa_key_validation=is_checked
        )
    except TypeError:
        # What the library raises for a key that needs a password.
        raise UnusableKeyError(
            "is encrypted with a passphrase. Enter its password too, or the private key without one."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKeyError(
            "cannot be read as a private key. Copy the whole file again, or create a new key."
        ) from None
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise UnusableKeyError("is neither an RSA nor an elliptic-curve key. Create a new key.")
    return key


def _require_fit(key: RSAPrivateKey | EllipticCurvePrivateKey, algorithm: SigningAlgorithm) -> None:
    if algorithm == SigningAlgorithm.ES256:
        if not (isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)):
            raise UnusableKeyError("is not a key of the elliptic curve P-256, which ES256 needs.")
        return
    if not isinstance(key, RSAPrivateKey):
        raise UnusableKeyError(f"is not an RSA key, which {algorithm} needs.")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise UnusableKeyError(
            f"is an RSA key of {key.key_size} bits. Create one of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits."
        )


def _certificate_of(
    key: RSAPrivateKey | EllipticCurvePrivateKey, blocks: list[str]
) -> x509.Certificate | None:
    """Return the certificate of this key, wherever it is in a chain; None if the text has no certificate.

    Raises UnusableKeyError if there are others only.
    """
    if not blocks:
        return None
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        for block in blocks:
            certificate = x509.load_pem_x509_certificate(block.encode())
            own = certificate.public_key()
            if own.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public:
                return certificate
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise UnusableKeyError("has a certificate that cannot be read. Copy it again.") from None
    raise UnusableKeyError(
        "does not belong to the certificate after it. Enter the certificate of this private key."
    )
