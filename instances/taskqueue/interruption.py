"""Turn Ctrl-C into a flag, so that a command stops only where it is safe."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# After this, another Ctrl-C stops a command that hangs, for example on a terminal that accepts no output.
PATIENCE_SECONDS = 5.0


class Interruption:
    """A context in which Ctrl-C, SIGTERM and a closed terminal set is_requested.

    Inside is_immediate(), and PATIENCE_SECONDS after the first signal, they raise KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self._is_immediate = False
        self._requested_at = 0.0
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread may set signal handlers, and only it is interrupted.
        if threading.current_thread() is threading.main_thread():
            # Keep ignoring what nohup or a shell's & has set to be ignored.
            handled = [
                number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN
            ]
            self._former = {number: signal.signal(number, self._request) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    @contextmanager
    def is_immediate(self) -> Iterator[None]:
        """Raise KeyboardInterrupt on an interrupt inside the block.

        For code that may wait long and can be left anywhere.
        """
        try:
            self._is_immediate = True
            if self.is_requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._is_immediate = False

    def _request(self, number: int, frame: FrameType | None) -> None:
        # No lock here: the interrupted statement might hold it.
        is_late = self.is_requested and time.monotonic() > self._requested_at + PATIENCE_SECONDS
        if not self.is_requested:
            self.is_requested, self._requested_at = True, time.monotonic()
        if self._is_immediate or is_late:
            self._is_immediate = False
            raise KeyboardInterrupt
