"""AES-256-GCM and keyed digests, for the values that are stored.

The first of ENCRYPTION_KEYS encrypts, every one decrypts. A ciphertext reads `v1.<key id>.<nonce and ciphertext>`,
so the key it needs is known without trying. context binds a ciphertext to its row and field as associated data
(NIST SP 800-38D): moved elsewhere, it does not decrypt.
"""

import base64
import binascii
import hmac
import os
import re
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from instances.errors import EncryptionKeyError, UnreadableSecretError

KEY_BYTES = 32
NONCE_BYTES = 12
_VERSION = "v1"
_KEY_ID_BYTES = 4
_CIPHERTEXT = re.compile(rf"{_VERSION}\.([0-9a-f]{{{2 * _KEY_ID_BYTES}}})\.")


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """One entry of ENCRYPTION_KEYS: public id, cipher and digest key."""

    id: str
    cipher: AESGCM = field(repr=False)
    digest_key: bytes = field(repr=False)


def encrypt(plaintext: str, *, context: str) -> str:
    """Encrypt under the first key. context: `<model>.<field>:<row uid>`."""
    key = encryption_keys()[0]
    nonce = os.urandom(NONCE_BYTES)
    sealed = nonce + key.cipher.encrypt(nonce, plaintext.encode(), context.encode())
    return f"{_VERSION}.{key.id}.{base64.urlsafe_b64encode(sealed).decode()}"


def decrypt(ciphertext: str, *, context: str) -> str:
    """Decrypt a ciphertext of encrypt() with the same context.

    Raises UnreadableSecretError if the key is missing, or the ciphertext was altered or moved.
    """
    key_id = key_id_of(ciphertext)
    if not key_id:
        raise _unreadable(context, "It is not a ciphertext of Instance Manager.")
    key = _key_with_id(key_id)
    if key is None:
        raise _unreadable(
            context, f"It was encrypted with the key {key_id}, which is not in ENCRYPTION_KEYS."
        )
    try:
        sealed = base64.urlsafe_b64decode(ciphertext.removeprefix(ciphertext_prefix(key_id)))
        plaintext = key.cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError):
        raise _unreadable(
            context, "Its ciphertext was altered, or belongs to another row or field."
        ) from None
    return plaintext.decode()


def _unreadable(context: str, reason: str) -> UnreadableSecretError:
    return UnreadableSecretError(f"{context} cannot be read. {reason}", reason=reason)


def ciphertext_prefix(key_id: str) -> str:
    """Return the prefix of every ciphertext under this key."""
    return f"{_VERSION}.{key_id}."


def key_id_of(ciphertext: str) -> str:
    """Return the id of the key that a ciphertext needs.

    Empty if it is not a ciphertext of this module.
    """
    # Anything else may be a secret in clear, so never repeat a part of it.
    match = _CIPHERTEXT.match(ciphertext)
    return match[1] if match else ""


def first_key_id() -> str:
    """Return the id of the key that encrypts."""
    return encryption_keys()[0].id


def digest(value: str, *, key_id: str = "") -> str:
    """Return a keyed digest (HMAC-SHA-256, hex) that finds a secret by its value.

    key_id: for two digests of one row that need the same key; the first key if it is empty or unknown.
    """
    return _digest(_key_with_id(key_id) or encryption_keys()[0], value)


def digests(value: str) -> list[str]:
    """Return the digests under every key, to find rows of older keys as well."""
    return [_digest(key, value) for key in encryption_keys()]


def generate_key() -> str:
    """Return a new entry for ENCRYPTION_KEYS: 32 random bytes, urlsafe base64."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def encryption_keys() -> tuple[EncryptionKey, ...]:
    """Return the parsed ENCRYPTION_KEYS.

    Raises EncryptionKeyError if there is none, or one is not 32 bytes of urlsafe base64.
    """
    return _parse_keys(tuple(settings.ENCRYPTION_KEYS))


def _key_with_id(key_id: str) -> EncryptionKey | None:
    return next((key for key in encryption_keys() if key.id == key_id), None)


@lru_cache(maxsize=8)
def _parse_keys(entries: tuple[str, ...]) -> tuple[EncryptionKey, ...]:
    if not entries:
        raise EncryptionKeyError("ENCRYPTION_KEYS is empty. Set at least one key.")
    return tuple(_parse_key(number, entry) for number, entry in enumerate(entries, start=1))


def _parse_key(number: int, entry: str) -> EncryptionKey:
    try:
        secret = base64.b64decode(entry.strip(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise EncryptionKeyError(
            f"ENCRYPTION_KEYS: entry {number} is not a key. A key is {KEY_BYTES} random bytes in urlsafe base64."
        )
    return EncryptionKey(
        id=_derive(secret, "key id", _KEY_ID_BYTES).hex(),
        cipher=AESGCM(_derive(secret, "encryption", KEY_BYTES)),
        digest_key=_derive(secret, "lookup digest", KEY_BYTES),
    )


def _derive(secret: bytes, purpose: str, length: int) -> bytes:
    # One key per purpose (RFC 5869 3.2), so that neither an id nor a digest reveals anything about the cipher's key.
    info = f"instance-manager {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)


def _digest(key: EncryptionKey, value: str) -> str:
    return hmac.digest(key.digest_key, value.encode(), "sha256").hex()
