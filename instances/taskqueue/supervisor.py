"""Supervise child processes: restart one that ends, and stop all of them together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

# Leaves a margin: everything must have ended within five seconds.
STOP_SECONDS = 4.0
FIRST_DELAY_SECONDS = 1
LAST_DELAY_SECONDS = 30
# After running for this long, a child is restarted with the first delay again.
STEADY_SECONDS = 60.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class _Child:
    """A child process; process is None while it waits for its restart."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    delay_seconds: int = 0


class Processes:
    """A context in which child processes run; its exit stops all of them.

    What the children have started is stopped too.

    is_stopping becomes true on Ctrl-C, SIGTERM, or when the terminal is closed. If this process is killed, the children
    end too: their standard input is a pipe that only this process holds open (instances.taskqueue.child).
    """

    def __init__(self, folder: Path) -> None:
        self.is_stopping = False
        self._folder = folder
        self._children: list[_Child] = []
        self._until_we_end, self._held_open = os.pipe()

    def __enter__(self) -> Self:
        # Only set a flag, so that a signal cannot interrupt between starting a child and storing it.
        for stop_signal in _STOP_SIGNALS:
            signal.signal(stop_signal, self._stop_soon)
        return self

    def __exit__(self, *_: object) -> None:
        running = [child.process for child in self._children if child.process]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            _kill_group(process)
            process.wait()

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a child process.

        command: a module or a script, and its arguments.
        """
        child = _Child(name, command)
        self._children.append(child)
        self._spawn(child)

    def tend(self) -> list[str]:
        """Restart children that have ended, each after a growing delay.

        Returns a sentence about each child that has just ended.
        """
        now = time.monotonic()
        sentences = []
        for child in self._children:
            if child.process is None and now >= child.restart_at:
                self._spawn(child)
            elif child.process is not None and child.process.poll() is not None:
                # What it started might still hold its port.
                _kill_group(child.process)
                status = child.process.returncode
                _put_off(child, now)
                sentences.append(
                    f"The {child.name} ended (exit status {status}). Restarting it in {child.delay_seconds} s."
                )
        return sentences

    def _spawn(self, child: _Child) -> None:
        child.started_at = time.monotonic()
        # In its own session, so that the terminal's Ctrl-C does not reach it directly.
        child.process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
            [sys.executable, "-m", "instances.taskqueue.child", *child.command],
            cwd=self._folder,
            stdin=self._until_we_end,
            start_new_session=True,
        )

    def _stop_soon(self, *_: Any) -> None:
        self.is_stopping = True


def _put_off(child: _Child, now: float) -> None:
    is_steady = now - child.started_at >= STEADY_SECONDS
    delay = FIRST_DELAY_SECONDS if is_steady else child.delay_seconds * 2
    child.delay_seconds = min(max(delay, FIRST_DELAY_SECONDS), LAST_DELAY_SECONDS)
    child.process, child.restart_at = None, now + child.delay_seconds


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
