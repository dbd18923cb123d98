"""Many threads that share few database connections: those of data calls, which mostly wait for providers.

A database accepts few connections. So only SLOTS threads at a time may have one in use, and each hands it on when it
waits for something else. No more than KEPT stay open for the next calls.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

SLOTS = 16
KEPT = 16
# How long a thread waits for a slot. They are held for milliseconds, unless the database is slow.
WAIT_SECONDS = 10.0
# How long one is kept that is not used.
IDLE_SECONDS = 60.0
# A connection that was used so recently is not asked first whether it works, which takes as long as a query.
TRUSTED_SECONDS = 1.0

_slots = threading.BoundedSemaphore(SLOTS)


class _Kept(NamedTuple):
    """A connection that no thread uses. used_at: of the monotonic clock."""

    connection: BaseDatabaseWrapper
    used_at: float


# The most recently used one last: so few are used, and their statements are prepared.
_kept: list[_Kept] = []
_lock = threading.Lock()


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
    if not _slots.acquire(timeout=WAIT_SECONDS):
        raise NoConnectionSlotError
    _held.has_slot = True
    _take_over()
    try:
        yield
    finally:
        release_connection()
        # What is left was opened after a release, or is in a transaction.
        connections.close_all()
        _give_back()


@contextmanager
def connection_again() -> Iterator[None]:
    """Use the database after release_connection(): threads that share connections wait for a slot again.

    Raises NoConnectionSlotError.
    """
    if _held.is_sharing and not _held.has_slot:
        with connection_slot():
            yield
    else:
        yield


def release_connection() -> None:
    """Give up this thread's connection, because the thread waits for something else. See connection_again()."""
    own = _own_connection()
    if own and own.in_atomic_block:
        return
    if own and not (_held.has_slot and _hand_on(own)):
        own.close()
    _close_idle()
    _give_back()


def trust_recent_connection() -> None:
    """Skip Django's health check of a connection that was used just now (docs/decisions/0012)."""
    if time.monotonic() - _held.used_at < TRUSTED_SECONDS:
        connection.health_check_done = True  # type: ignore[attr-defined]  # see the test of this


def _own_connection() -> BaseDatabaseWrapper | None:
    """Return this thread's connection, without making one."""
    return next(iter(connections.all(initialized_only=True)), None)


def _take_over() -> None:
    """Make a kept connection this thread's own, in place of one that was opened after the last slot."""
    connections.close_all()
    with _lock:
        kept = _kept.pop() if _kept else None
    _held.used_at = kept.used_at if kept else 0.0
    if kept:
        connections[DEFAULT_DB_ALIAS] = kept.connection


def _hand_on(own: BaseDatabaseWrapper) -> bool:
    """Keep this thread's connection for others, unless it is closed, or enough are kept."""
    with _lock:
        is_kept = own.connection is not None and len(_kept) < KEPT
        if is_kept:
            del connections[DEFAULT_DB_ALIAS]
            if not own.allow_thread_sharing:
                own.inc_thread_sharing()
            _kept.append(_Kept(own, time.monotonic()))
    return is_kept


def _close_idle() -> None:
    """Close those that have not been used for long; the first of them was used before all others."""
    with _lock:
        while _kept and time.monotonic() - _kept[0].used_at > IDLE_SECONDS:
            _kept.pop(0).connection.close()


def _give_back() -> None:
    if _held.has_slot:
        _held.has_slot = False
        _slots.release()
