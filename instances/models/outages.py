"""Writes that outlast a database outage: what came from the network exists in memory alone until it is stored."""

import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import Error as AnyDatabaseError, InterfaceError, OperationalError, connection

from instances.deadlines import Deadline

# Longer than any lease: whatever is written so late names the version that it started from.
KEEP_TRYING = timedelta(minutes=5)
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
# A server that was promoted or restarted as a standby takes no writes for a while (PostgreSQL, Appendix A).
_READ_ONLY_SQLSTATE = "25006"

log = structlog.stdlib.get_logger(__name__)


def is_outage(error: AnyDatabaseError) -> bool:
    """Whether the same statement may succeed later: connection lost, server restarting, database locked."""
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    is_read_only = sqlstate == _READ_ONLY_SQLSTATE
    return isinstance(error, OperationalError | InterfaceError) or is_read_only


def outlast_outage[T](write: Callable[[], T], *, what: str, duration: timedelta = KEEP_TRYING) -> T:
    """Call write() until the database takes it; inside a transaction, once.

    write() runs again after an attempt whose commit was not confirmed, so it must compare before it sets. what: for
    the log. Raises the last OperationalError or InterfaceError when the duration has passed.
    """
    deadline = Deadline(duration)
    pause_seconds = FIRST_PAUSE_SECONDS
    while True:
        try:
            return write()
        except AnyDatabaseError as error:
            if connection.in_atomic_block or not is_outage(error):
                raise
            # A broken connection stays broken; the next attempt opens another.
            connection.close()
            if deadline.has_passed:
                log.error("gave up storing", what=what, error=type(error).__name__)
                raise
            log.warning("cannot store yet", what=what, error=type(error).__name__)
        time.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
