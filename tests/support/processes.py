"""Processes of this program that share the test's database, and a sandbox process with its own."""

import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from django.conf import settings
from django.db import connection

from instances.catalogue.sandbox import (
    SANDBOX_CLIENT_ID,
    SANDBOX_CLIENT_SECRET,
    SANDBOX_PASSWORD,
    SANDBOX_USERNAME,
)
from instances.crypto import sealing
from tests.support.server import PROJECT, Server

HEAR_SECONDS = 120
STOP_SECONDS = 20


class Process:
    """Run python with these arguments on the test's database; it may reach these providers.

    For a tests.support.worker: say() sends a line, hear() waits for its next line.
    """

    def __init__(
        self, *arguments: str, folder: Path, providers: list[str], **environment: str
    ) -> None:
        kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        self._process = subprocess.Popen(  # noqa: S603  our own program, no shell
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=kept
            | {
                "PATH": os.environ["PATH"],
                "DJANGO_SETTINGS_MODULE": "config.settings",
                "DATABASE_URL": _database_url(),
                "DATA_DIR": str(folder),
                "SECRET_KEY": settings.SECRET_KEY,
                "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS),
                "PROVIDER_ALLOWED_PRIVATE_HOSTS": ",".join(providers),
                "HTTP_TIMEOUT_SECONDS": "2",
                "LOG_LEVEL": "WARNING",
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, word: str = "") -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        assert self._process.stdout
        assert select.select([self._process.stdout], [], [], HEAR_SECONDS)[0], "It says nothing."
        return json.loads(self._process.stdout.readline())

    def wait(self) -> int:
        return self._process.wait(timeout=HEAR_SECONDS)

    def kill(self) -> None:
        """Kill it without warning, as if the machine lost power."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """Stop it, as if the machine were suspended."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.thaw()
        self._process.terminate()
        self._process.communicate(timeout=STOP_SECONDS)


class Sandbox:
    """A sandbox with its own process and database: refresh tokens rotate, and reuse revokes the grant."""

    def __init__(self, folder: Path) -> None:
        # With the same key, so that the digests of its tokens can be computed here.
        self._server = Server(
            folder, SANDBOX_ENABLED="true", ENCRYPTION_KEYS=settings.ENCRYPTION_KEYS[0]
        )
        self.url = f"http://127.0.0.1:{self._server.port}"
        self.netloc = urlsplit(self.url).netloc
        self.stop = self._server.stop

    def start(self) -> None:
        self._server.manage("migrate", "--verbosity", "0")
        self._server.start()

    def be_slow(self, seconds: int) -> None:
        """Delay every response of the token endpoint from now on."""
        with closing(sqlite3.connect(self._server.database)) as database, database:
            database.execute(
                "INSERT INTO sandbox_behaviour (id, is_next_denied, fault, delay_seconds) "
                "VALUES (1, false, 'none', :seconds) "
                "ON CONFLICT (id) DO UPDATE SET delay_seconds = :seconds",
                {"seconds": seconds},
            )

    def sign_in(self) -> dict[str, str]:
        """Create a new grant; returns its access and refresh token."""
        answer = requests.post(
            f"{self.url}/sandbox/common/oauth2/token",
            data={
                "grant_type": "password",
                "username": SANDBOX_USERNAME,
                "password": SANDBOX_PASSWORD,
                "client_id": SANDBOX_CLIENT_ID,
                "client_secret": SANDBOX_CLIENT_SECRET,
            },
            timeout=HEAR_SECONDS,
        )
        answer.raise_for_status()
        return dict(answer.json())

    def tokens_given(self, refresh_token: str) -> int:
        """Count how often tokens were issued for the grant of a refresh token: at sign-in, and for each refresh."""
        return int(self._of_grant(refresh_token)[0])

    def is_revoked(self, refresh_token: str) -> bool:
        return self._of_grant(refresh_token)[1] is not None

    def _of_grant(self, refresh_token: str) -> tuple[Any, ...]:
        query = """
            SELECT COUNT(all_of_it.id), MAX(its_grant.revoked_at) FROM sandbox_token this
            JOIN sandbox_token all_of_it ON all_of_it.grant_id = this.grant_id
            JOIN sandbox_grant its_grant ON its_grant.id = this.grant_id
            WHERE this.refresh_token_digest = ?"""
        with closing(sqlite3.connect(self._server.database)) as database:
            row: tuple[Any, ...] = database.execute(
                query, [sealing.digest(refresh_token)]
            ).fetchone()
        return row


def _database_url() -> str:
    """The DATABASE_URL of the test's database, for other processes."""
    its = {name: str(value) for name, value in connection.settings_dict.items()}
    if connection.vendor == "sqlite":
        return f"sqlite:///{its['NAME']}"
    user = f"{quote(its['USER'], safe='')}:{quote(its['PASSWORD'], safe='')}"
    return f"postgres://{user}@{its['HOST']}:{its['PORT'] or 5432}/{its['NAME']}"
