"""`python -m config.first_run`: write `.env` with new keys unless it exists.

`make run` calls it.
"""

import os
import secrets
import sys
from pathlib import Path

from instances.crypto import sealing

ENV_FILE = Path(__file__).resolve().parent.parent / ".env"
_TEXT = """\
# Written by the first `make run`. docs/settings.md explains every setting; environment variables take precedence.
# Keep a copy in a safe place: without ENCRYPTION_KEYS the stored secrets cannot be decrypted.
SECRET_KEY={secret_key}
ENCRYPTION_KEYS={encryption_key}
SANDBOX_ENABLED=true
"""


def write_env_file(path: Path) -> bool:
    """Write the file, readable by its owner only. False if it already exists."""
    text = _TEXT.format(secret_key=secrets.token_urlsafe(50), encryption_key=sealing.generate_key())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return True


if __name__ == "__main__" and write_env_file(ENV_FILE):
    sys.stdout.write(
        f"Wrote {ENV_FILE.name} with new keys, readable by you only. Keep a copy in a safe place.\n"
    )
