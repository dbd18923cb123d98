"""Database outages: writes that outlast them, and processes that wait for their end."""

import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import Error as AnyDatabaseError, InterfaceError, OperationalError, connection

from instances.deadlines import Deadline
from instances.redaction import redact_text

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


FIRST_WAIT_SECONDS = 1.0


LAST_WAIT_SECONDS = 30.0


TELL_EVERY_SECONDS = 30.0


# What a server answers that is there, and refuses us: waiting changes nothing. Unknown words are taken for an outage.
_REFUSALS = ("does not exist", "authentication failed", "no password supplied", "permission denied")


_UNUSABLE = "The database cannot be used: "


def is_database_away(error: Exception) -> bool:
    """Whether it may be back in a while: a server that does not answer, or a file that somebody else has locked."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    words = str(error).lower()
    if connection.vendor == "sqlite":
        return "locked" in words or "busy" in words
    return not any(refusal in words for refusal in _REFUSALS)


def database_problem(error: AnyDatabaseError) -> str:
    """What is wrong with the database, and what to do, without its password."""
    reason = redact_text(str(error)).strip()
    if reason.startswith(_UNUSABLE):
        return reason
    return f"{_UNUSABLE}{reason}. Correct DATABASE_URL, or start the database."


def wait_for_database[T](
    work: Callable[[], T], *, tell: Callable[[str], object] = log.warning
) -> T:
    """Do this, again and again while the database is away. tell: hears a sentence at once, and every half minute.

    The work is done again from its beginning. Raises what it raises otherwise, and everything inside a transaction.
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
                tell(f"{database_problem(error)} It is tried again until it answers.")
            time.sleep(wait)
            wait = min(2 * wait, LAST_WAIT_SECONDS)
