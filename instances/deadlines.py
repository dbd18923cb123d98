"""Deadlines on a clock that cannot be set and runs during suspension."""

import time
from datetime import timedelta

# Linux's CLOCK_MONOTONIC stops during suspension; other systems have no CLOCK_BOOTTIME.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime_seconds() -> float:
    """Return seconds since the machine started, including suspension.

    Only differences are meaningful.
    """
    return time.clock_gettime(_CLOCK)


class Deadline:
    """The end of a period that starts now and may be moved later."""

    def __init__(self, duration: timedelta) -> None:
        self._ends_at = uptime_seconds() + duration.total_seconds()

    @property
    def seconds_left(self) -> float:
        """Negative once it has passed."""
        return self._ends_at - uptime_seconds()

    @property
    def has_passed(self) -> bool:
        return self.seconds_left <= 0

    def move_to(self, other: "Deadline") -> None:
        """Move the end to that of another deadline; every holder of this object sees it."""
        self._ends_at = other._ends_at
