"""Many threads that share few database connections: those of data calls, which mostly wait for providers.

Each thread has a connection of its own, and a database accepts few. So only SLOTS threads at a time may have one in
use, and only KEPT keep theirs until their next call.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

SLOTS = 16
KEPT = 16
# How long a thread waits for a slot. They are held for milliseconds, unless the database is slow.
WAIT_SECONDS = 10.0
# A connection that was used so recently is not asked first whether it works, which takes as long as a query.
TRUSTED_SECONDS = 1.0

_slots = threading.BoundedSemaphore(SLOTS)
_lock = threading.Lock()
_keepers: set[int] = set()


class NoConnectionSlotError(Exception):
    """No slot has become free for WAIT_SECONDS."""


class _Held(threading.local):
    is_sharing = False
    has_slot = False
    used_at = 0.0


_held = _Held()


def share_connections() -> None:
    """Say that this thread is one of those that use the database only with a slot."""
    _held.is_sharing = True


def is_sharing_connections() -> bool:
    return _held.is_sharing


@contextmanager
def connection_slot() -> Iterator[None]:
    """Wait for a slot, and hold it until the end of the block or until release_connection().

    Raises NoConnectionSlotError.
    """
    _keep_no_longer()
    if not _slots.acquire(timeout=WAIT_SECONDS):
        raise NoConnectionSlotError
    _held.has_slot = True
    try:
        yield
    finally:
        if not _may_keep():
            connection.close()
        _give_back()


def forget_connection() -> None:
    """Close what this thread has kept, before the thread ends."""
    _keep_no_longer()
    connection.close()


def release_connection() -> None:
    """Close this thread's connection, because the thread waits for something else. It may open another one later."""
    if not connection.in_atomic_block:
        _keep_no_longer()
        connection.close()
        _give_back()


def trust_recent_connection() -> None:
    """Skip Django's health check of a connection that this thread has just used (docs/decisions/0012)."""
    if time.monotonic() - _held.used_at < TRUSTED_SECONDS:
        connection.health_check_done = True  # type: ignore[attr-defined]  # see the test of this


def _may_keep() -> bool:
    with _lock:
        is_kept = connection.connection is not None and len(_keepers) < KEPT
        if is_kept:
            _keepers.add(threading.get_ident())
            _held.used_at = time.monotonic()
        return is_kept


def _keep_no_longer() -> None:
    with _lock:
        _keepers.discard(threading.get_ident())


def _give_back() -> None:
    if _held.has_slot:
        _held.has_slot = False
        _slots.release()
