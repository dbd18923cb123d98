"""Child processes that run and end together."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

# Together less than the five seconds in which everything has to be gone.
STOP_SECONDS = 4.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Processes:
    """A context in which child processes run. At its end all of them, and what they started, are gone.

    is_stopping becomes true at Ctrl-C, SIGTERM, or when the terminal is closed.
    """

    def __init__(self, folder: Path) -> None:
        self.is_stopping = False
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        # Only a flag, so that no signal can come between the start of a child and its being remembered.
        for one in _STOP_SIGNALS:
            signal.signal(one, self._stop_soon)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a child, in a session of its own: the terminal's Ctrl-C reaches it through us alone."""
        self._running[name] = subprocess.Popen(  # noqa: S603 - our own programs, no shell
            command, cwd=self._folder, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def ended(self) -> str | None:
        """Which child has ended by itself, and how; None while all run."""
        for name, process in self._running.items():
            if process.poll() is not None:
                return f"The {name} has ended by itself (exit status {process.returncode})"
        return None

    def _stop_soon(self, *_: Any) -> None:
        self.is_stopping = True
