"""New private keys, with certificates that they sign themselves."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from instances.crypto.keys import MIN_RSA_BITS, SigningAlgorithm, SigningKey

VALID_FOR = timedelta(days=730)
# The provider's clock may be behind ours.
_CLOCK_SKEW = timedelta(hours=1)
_PUBLIC_EXPONENT = 65537
# ub-common-name (RFC 5280, appendix A.1), which libraries count in bytes.
_MAX_NAME_BYTES = 64


def generate_signing_key(name: str, algorithm: SigningAlgorithm) -> SigningKey:
    """Return a new private key and its certificate. name: of its subject."""
    private_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm == SigningAlgorithm.ES256:
        private_key = ec.generate_private_key(ec.SECP256R1())
    else:
        private_key = rsa.generate_private_key(_PUBLIC_EXPONENT, MIN_RSA_BITS)
    name = name.encode()[:_MAX_NAME_BYTES].decode(errors="ignore").strip()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name or "Instance Manager")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private_key, SHA256())
    )
    return SigningKey(private_key, algorithm, certificate)


def certificate_pem(key: SigningKey) -> str:
    """Return the certificate alone, which is public; empty if there is none."""
    certificate = key.certificate
    return certificate.public_bytes(Encoding.PEM).decode() if certificate else ""
