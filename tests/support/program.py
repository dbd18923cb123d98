"""The program as its user starts it: `manage.py up`, with its own folder, port and keys."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from instances.crypto import sealing

PROJECT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60
STOP_SECONDS = 30
COMMAND_SECONDS = 60


def environment_in(folder: Path) -> dict[str, str]:
    """The environment of a new machine: an empty data folder, a free port, new keys."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return kept | {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(folder / "var"),
        "PORT": str(port),
        "SECRET_KEY": "only-for-this-test" * 4,
        "ENCRYPTION_KEYS": sealing.generate_key(),
        "SANDBOX_ENABLED": "true",
    }


def start_up(environment: dict[str, str], output: int | IO[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=PROJECT,
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


class Program:
    """A running program. Its output and log go to a file in the folder.

    with Program(folder) as program:
        program.url                              where it listens
        program.output                           what it has printed and logged so far
        program.manage("provision_instances", …) runs one of its commands on the same data
    """

    def __init__(self, folder: Path, **changes: str) -> None:
        self._environment = environment_in(folder) | changes
        self._log = folder / "program.log"
        self.url = f"http://localhost:{self._environment['PORT']}"

    def __enter__(self) -> "Program":
        with self._log.open("w") as log:
            self._process = start_up(self._environment, log)
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl-C stops everything." not in self.output:
            is_late = time.monotonic() > deadline
            if is_late or self._process.poll() is not None:
                self.__exit__()
                raise AssertionError(f"manage.py up did not start:\n{self.output}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=STOP_SECONDS)

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def password(self) -> str:
        """The administrator's password, as printed."""
        found = re.search(r"Password   (\S+)", self.output)
        assert found
        return found[1]

    @property
    def parts(self) -> list[str]:
        """The command lines of the processes that it has started."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in children]

    def manage(self, *arguments: str) -> str:
        """Run a command that must succeed; returns its output."""
        run = self.run(*arguments)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command, whether or not it succeeds."""
        return subprocess.run(  # noqa: S603 - our own program, no shell
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
