"""Fills the environment, then is config.settings: no service needed, and nothing read from a developer's .env."""

import os
import tempfile

os.environ |= {
    "SECRET_KEY": "tests-only-" + "x" * 50,
    "ENCRYPTION_KEYS": "dGVzdHMtb25seS1rZXktdGVzdHMtb25seS1rZXktISE=",
    "SANDBOX_ENABLED": "true",
    "PUBLIC_URL": "http://localhost:8000",
    "TASKS_BACKEND": "immediate",
    "HTTP_TIMEOUT_SECONDS": "2",
    "PROVIDER_ALLOWED_PRIVATE_HOSTS": "",
    "LOG_LEVEL": "INFO",
    "EMAIL_URL": "",
    # Another thread would not see the test's transaction.
    "DATA_CALL_BATCH_SECONDS": "0",
}
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="instance-manager-tests-"))
os.environ.setdefault("DATABASE_URL", f"sqlite:///{os.environ['DATA_DIR']}/db.sqlite3")

from config.settings import *

# Its flush command.
INSTALLED_APPS += ["tests"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A live server's thread would keep its connection, and the test database could not be dropped.
DATABASES["default"]["CONN_MAX_AGE"] = 0
# A file, not memory: live servers and threads of a test open connections of their own.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Nothing here outlives the run, so nothing has to reach the disk.
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"
    DATABASES["default"]["TEST"] = {"NAME": f"{os.environ['DATA_DIR']}/test.sqlite3"}
# Django's test runner puts its own in the place of every mailer that there is.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
