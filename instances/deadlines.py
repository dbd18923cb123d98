"""Deadlines on a clock that nobody can set, and that goes on while the process or the machine is suspended."""

import time
from datetime import timedelta

# Linux's CLOCK_MONOTONIC stands still during suspension; elsewhere there is no other clock.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime_seconds() -> float:
    """Seconds since the machine started, suspension included. Only differences mean anything."""
    return time.clock_gettime(_CLOCK)


class Deadline:
    """The end of a period that began when this was made, or when it was last extended."""

    def __init__(self, duration: timedelta) -> None:
        self._ends_at = uptime_seconds() + duration.total_seconds()

    @property
    def seconds_left(self) -> float:
        """Negative when it has passed."""
        return self._ends_at - uptime_seconds()

    @property
    def has_passed(self) -> bool:
        return self.seconds_left <= 0

    def move_to(self, other: "Deadline") -> None:
        """Take over another one's end: whoever holds this one sees it."""
        self._ends_at = other._ends_at
