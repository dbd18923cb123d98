"""A separate PostgreSQL cluster that a test may restart."""

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

RUN_SECONDS = 60
_OWNER = "postgres"


class Cluster:
    """with Cluster() as cluster: cluster.url: a database URL of its superuser; cluster.restart() can be repeated.

    Skips the test if PostgreSQL's programs are not installed.
    """

    def __init__(self) -> None:
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="instance-manager-cluster-"))
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._port = server.getsockname()[1]
        self.url = f"postgres://postgres@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> "Cluster":
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(self._folder, _OWNER)
        data = self._folder / "data"
        self._run("initdb", "-U", "postgres", "-A", "trust", "--no-sync", "-D", data)
        settings = [
            f"port = {self._port}",
            "listen_addresses = '127.0.0.1'",
            f"unix_socket_directories = '{self._folder}'",
            "fsync = off",
            "max_connections = 150",
        ]
        self._run("tee", "-a", data / "postgresql.conf", words="\n".join(settings) + "\n")
        self._control("start")
        return self

    def __exit__(self, *_: object) -> None:
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self._folder)

    def restart(self, *, away_seconds: float = 0.0) -> None:
        """Close every connection, and accept no new one for a while."""
        self._control("stop", "-m", "fast")
        if away_seconds:
            subprocess.run(["sleep", str(away_seconds)], check=True)  # noqa: S603, S607
        self._control("start")

    def _control(self, verb: str, *arguments: str) -> None:
        log = self._folder / "server.log"
        data = self._folder / "data"
        self._run("pg_ctl", verb, "-s", "-w", "-D", data, "-l", log, *arguments)

    def _run(self, program: str, *arguments: str | Path, words: str = "") -> None:
        found = self._programs / program
        command = [str(found if found.exists() else program), *map(str, arguments)]
        if os.getuid() == 0:
            command = ["su", _OWNER, "-s", "/bin/sh", "-c", shlex.join(command)]
        # The server that pg_ctl starts keeps inherited files open.
        subprocess.run(  # noqa: S603  our own programs
            command,
            input=words.encode(),
            stdout=subprocess.DEVNULL,
            check=True,
            cwd=self._folder,
            timeout=RUN_SECONDS,
        )


def _programs() -> Path:
    on_path = shutil.which("pg_ctl")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not on_path and not installed:
        pytest.skip("PostgreSQL's own programs (initdb, pg_ctl) are not installed.")
    return Path(on_path).parent if on_path else installed[-1].parent
