"""Run a module or a script that ends when its parent process ends.

Usage: `python -m instances.taskqueue.child PROGRAM …`. Standard input is a pipe that only the parent holds open. The
kernel closes it however the parent ends, even by SIGKILL.
"""

import os
import runpy
import signal
import sys
import threading
import time

# The time for a web server to finish its requests.
GRACE_SECONDS = 3.0


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    # This process leads the group of everything that it has started.
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    del sys.argv[0]
    program = sys.argv[0]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
