"""Compare this machine's clock with the database's, which all processes go by.

A process whose clock differs by more than MAX_SKEW takes no work: it would take over live leases, prune recent rows
and store wrong expiry times. On SQLite both are the same clock.
"""

import threading
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from instances.deadlines import Deadline, uptime_seconds
from instances.errors import ClockSkewError
from instances.models.process_beats import ProcessBeat

MAX_SKEW = timedelta(seconds=2)
MEASURE_EVERY = timedelta(seconds=5)
# The error of a measurement is at most half of its round trip.
QUICK_ROUND_TRIP = timedelta(seconds=1)
MAX_MEASUREMENTS = 3
# If clock and uptime differ by more than this since the last measurement, the clock was set.
_STEP_SECONDS = 0.5


class _Measured:
    """The latest measurement in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.skew = timedelta(0)
        self.offset_seconds = 0.0
        self.is_fresh_until: Deadline | None = None


_measured = _Measured()


def clock_skew() -> timedelta:
    """Return how far this machine's clock is ahead of the database's.

    Measured at most every few seconds.
    """
    if connection.vendor == "sqlite":
        return timedelta(0)
    with _measured.lock:
        is_stepped = abs(_offset_seconds() - _measured.offset_seconds) > _STEP_SECONDS
        fresh_until = _measured.is_fresh_until
        if fresh_until is None or fresh_until.has_passed or is_stepped:
            _measured.offset_seconds = _offset_seconds()
            _measured.skew = _measure()
            _measured.is_fresh_until = Deadline(MEASURE_EVERY)
        return _measured.skew


def database_now() -> datetime:
    """Return the database's time, as precisely as the skew is known.

    While the database is away, the skew that was measured last counts.
    """
    try:
        skew = clock_skew()
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block:
            raise
        connection.close()
        skew = _measured.skew
    return timezone.now() - skew


def require_right_clock() -> None:
    """Raise ClockSkewError if the clock is off by more than MAX_SKEW.

    It is recorded for health.
    """
    skew = clock_skew()
    if abs(skew) > MAX_SKEW:
        ProcessBeat.objects.beat(ProcessBeat.Kind.WRONG_CLOCK, skew=skew)
        raise ClockSkewError(skew)


def _measure() -> timedelta:
    skew, round_trip = _compare()
    for _ in range(MAX_MEASUREMENTS - 1):
        if round_trip <= QUICK_ROUND_TRIP:
            break
        skew, round_trip = min(
            (skew, round_trip), _compare(), key=lambda measurement: measurement[1]
        )
    return skew


def _compare() -> tuple[timedelta, timedelta]:
    """Return the skew and the round trip of the query."""
    with connection.cursor() as cursor:
        asked_at, asked_uptime = timezone.now(), uptime_seconds()
        cursor.execute("SELECT clock_timestamp()")
        [database_time] = cursor.fetchone()
        round_trip = timedelta(seconds=uptime_seconds() - asked_uptime)
    return asked_at + round_trip / 2 - database_time, round_trip


def _offset_seconds() -> float:
    return timezone.now().timestamp() - uptime_seconds()
