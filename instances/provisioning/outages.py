"""A database that is away for a while, and what a process does meanwhile: it says so, and tries again."""

import time
from collections.abc import Callable

import structlog
from django.db import Error as AnyDatabaseError, InterfaceError, OperationalError, connection

from instances.redaction import redact_text

FIRST_WAIT_SECONDS = 1.0
LAST_WAIT_SECONDS = 30.0
TELL_EVERY_SECONDS = 30.0
# What a server answers that is there, and refuses us: waiting changes nothing. Unknown words are taken for an outage.
_REFUSALS = ("does not exist", "authentication failed", "no password supplied", "permission denied")
_UNUSABLE = "The database cannot be used: "

log = structlog.stdlib.get_logger(__name__)


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
