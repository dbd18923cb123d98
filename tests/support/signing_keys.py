"""Private keys and certificates for tests. To make an RSA key takes a while, so each is made once."""

import datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

type PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(bits: int = 2048, number: int = 1) -> rsa.RSAPrivateKey:
    """number: tells keys of one length apart."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(number: int = 1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: PrivateKey, *, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: str = "") -> str:
    cipher = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, cipher).decode()


def certificate(key: PrivateKey, *, days: int = 1) -> x509.Certificate:
    """days: until it ends; negative for one that has ended."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "instance-manager")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(key, SHA256())
    )


def certificate_pem(of: x509.Certificate) -> str:
    return of.public_bytes(Encoding.PEM).decode()


def key_file(
    key: PrivateKey | None,
    own: x509.Certificate | None,
    password: str,
    *,
    others: list[x509.Certificate] | None = None,
    is_old: bool = False,
) -> bytes:
    """A PKCS#12 file. is_old: as Windows exported it for 20 years (triple DES)."""
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
    if is_old:
        old = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        builder = old.hmac_hash(SHA1())  # noqa: S303
    cipher = builder.build(password.encode())
    return pkcs12.serialize_key_and_certificates(b"name", key, own, others, cipher)
