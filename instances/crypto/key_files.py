"""Key files that need a password: PKCS#12 (.p12, .pfx; RFC 7292) and encrypted PEM, opened in a child process."""

import base64
import binascii
import subprocess
import sys
from pathlib import Path

from instances.crypto.key_file_reader import REFUSED, WITHOUT_KEY
from instances.crypto.keys import UnusableKeyError

TIMEOUT_SECONDS = 10
_READER = Path(__file__).with_name("key_file_reader.py")
# SEQUENCE, its length, and the version 3 (RFC 7292 4).
_SEQUENCE, _VERSION_3, _MAX_HEADER_BYTES = b"\x30", b"\x02\x01\x03", 9


def opened_key_file(text: str, password: str) -> str:
    """Return the private key and the certificates of a key file, as a PEM text without a password.

    text: a PKCS#12 file in base64, or an encrypted PEM text, if there is a password for it; any other text is returned
    as it is.

    Raises UnusableKeyError.
    """
    content = _pkcs12_in(text)
    if content is None and password and "ENCRYPTED" in text:
        content = text.encode()
    return text if content is None else _read(content, password)


def _pkcs12_in(text: str) -> bytes | None:
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        return None
    is_pkcs12 = content.startswith(_SEQUENCE) and _VERSION_3 in content[:_MAX_HEADER_BYTES]
    return content if is_pkcs12 else None


def _read(content: bytes, password: str) -> str:
    command = [sys.executable, "-I", str(_READER)]
    sent = base64.b64encode(password.encode()) + b"\n" + content
    try:
        reader = subprocess.run(  # noqa: S603
            command, input=sent, capture_output=True, timeout=TIMEOUT_SECONDS, env={}, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnusableKeyError("takes too long to open. Export the key again.") from None
    if reader.returncode == WITHOUT_KEY:
        raise UnusableKeyError(
            "contains no private key. Export the certificate together with its private key."
        )
    if reader.returncode == REFUSED and password:
        raise UnusableKeyError(
            "cannot be opened: the password of the key file is wrong, or the file is damaged. Enter the right password, "
            "or export the key again."
        )
    if reader.returncode == REFUSED:
        raise UnusableKeyError(
            "cannot be opened without a password. Enter the password of the key file."
        )
    if reader.returncode:
        raise UnusableKeyError("could not be opened. Export the key again.")
    return reader.stdout.decode()
