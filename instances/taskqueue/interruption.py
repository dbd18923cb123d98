"""Ctrl-C as a flag: an interrupt ends a command at a point that the command chooses, never between two statements."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# After this, another Ctrl-C ends whatever hangs, for example a terminal that takes no more output.
PATIENCE_SECONDS = 5.0


class Interruption:
    """A context in which Ctrl-C, SIGTERM and a closed terminal set is_requested.

    within is_immediate(), and PATIENCE_SECONDS after the first signal, they raise KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self._is_immediate = False
        self._requested_at = 0.0
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread may, and only it is interrupted.
        if threading.current_thread() is threading.main_thread():
            # nohup, and a shell's &, have some ignored: they stay so.
            heard = [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
            self._former = {one: signal.signal(one, self._request) for one in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._former.items():
            signal.signal(one, handler)

    @contextmanager
    def is_immediate(self) -> Iterator[None]:
        """A block that may wait for long and can be left anywhere: an interrupt raises KeyboardInterrupt."""
        try:
            self._is_immediate = True
            if self.is_requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._is_immediate = False

    def _request(self, number: int, frame: FrameType | None) -> None:
        # Plain attributes: a lock might be held by the very statement that was interrupted.
        is_late = self.is_requested and time.monotonic() > self._requested_at + PATIENCE_SECONDS
        if not self.is_requested:
            self.is_requested, self._requested_at = True, time.monotonic()
        if self._is_immediate or is_late:
            self._is_immediate = False
            raise KeyboardInterrupt
