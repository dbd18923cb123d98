"""Database outages: retry writes until the database is back, or wait for it."""

import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import Error as AnyDatabaseError, InterfaceError, OperationalError, connection

from instances.deadlines import Deadline
from instances.redaction import redact_text

# Longer than any lease: a write this late must name the version that it started from.
KEEP_TRYING = timedelta(minutes=5)
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
# A server that restarts as a standby or is being promoted rejects writes for a while (PostgreSQL, Appendix A).
_READ_ONLY_SQLSTATE = "25006"

log = structlog.stdlib.get_logger(__name__)


def is_outage(error: Exception) -> bool:
    """Whether a database error may pass: the same statement may succeed later, such as after a restart."""
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    is_read_only = sqlstate == _READ_ONLY_SQLSTATE
    return isinstance(error, OperationalError | InterfaceError) or is_read_only


def outlast_outage[T](write: Callable[[], T], *, what: str, duration: timedelta = KEEP_TRYING) -> T:
    """Call write() until it succeeds; inside a transaction, call it once.

    write() is repeated after an attempt whose commit was not confirmed, so it must compare before it sets. what: for
    the log. Raises the last OperationalError or InterfaceError once the duration has passed.
    """
    deadline = Deadline(duration)
    pause_seconds = FIRST_PAUSE_SECONDS
    while True:
        try:
            return write()
        except AnyDatabaseError as error:
            if connection.in_atomic_block or not is_outage(error):
                raise
            # A broken connection does not recover; the next attempt opens a new one.
            connection.close()
            if deadline.has_passed:
                log.error("gave up storing", what=what, error=type(error).__name__)
                raise
            log.warning("cannot store yet", what=what, error=type(error).__name__)
        time.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)


FIRST_WAIT_SECONDS = 1.0
LAST_WAIT_SECONDS = 30.0
TELL_EVERY_SECONDS = 30.0
# Errors of a running server that rejects us, so waiting does not help. Any other error counts as an outage.
_REFUSALS = ("does not exist", "authentication failed", "no password supplied", "permission denied")
_UNUSABLE = "The database cannot be used: "


def is_database_away(error: Exception) -> bool:
    """Whether the database may be back soon: no answer, or a locked file."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    message = str(error).lower()
    if connection.vendor == "sqlite":
        return "locked" in message or "busy" in message
    return not any(refusal in message for refusal in _REFUSALS)


def database_problem(error: AnyDatabaseError) -> str:
    """Return what is wrong with the database and what to do, without its password."""
    reason = redact_text(str(error)).strip()
    if reason.startswith(_UNUSABLE):
        return reason
    return f"{_UNUSABLE}{reason}. Correct DATABASE_URL, or start the database."


def wait_for_database[T](
    work: Callable[[], T], *, report: Callable[[str], object] = log.warning
) -> T:
    """Call work() until the database is available.

    Each attempt starts from the beginning.

    report: called with a message at once and every 30 seconds. Raises any other error of work(), and inside a
    transaction every error.
    """
    wait, told_at = FIRST_WAIT_SECONDS, float("-inf")
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as error:
            if connection.in_atomic_block or not is_database_away(error):
                raise
            connection.close()
            if time.monotonic() >= told_at + TELL_EVERY_SECONDS:
                told_at = time.monotonic()
                report(f"{database_problem(error)} Retrying automatically.")
            time.sleep(wait)
            wait = min(2 * wait, LAST_WAIT_SECONDS)
