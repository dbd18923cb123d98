"""`python -m instances.taskqueue.child PROGRAM …`: runs a module or a script that ends when its parent does.

Standard input is a pipe that the parent alone holds open. It closes however the parent ends, also by SIGKILL; the kernel
does that, on every system.
"""

import os
import runpy
import signal
import sys
import threading
import time

# A web server ends its requests in it.
GRACE_SECONDS = 3.0


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    # It leads the group of whatever it has started.
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
