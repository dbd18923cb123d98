"""Background tasks that write a line to a file; one of them then kills its worker."""

import os
import signal
from pathlib import Path

from django.tasks import task


@task
def kill_worker(path: str) -> None:
    _append(path, "killed")
    os.kill(os.getpid(), signal.SIGKILL)


@task
def say(path: str) -> None:
    _append(path, "said")


def _append(path: str, word: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{word}\n")
