"""What the threads of a bulk job's run share, and what they hand to each other."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import Error as AnyDatabaseError, connection
from django.utils import timezone

from instances.bulk.rows import Outcome, end_or_put_off_row, end_row, give_back_row
from instances.causes import Cause
from instances.deadlines import Deadline
from instances.errors import InstancesError, PlatformError
from instances.models import BulkJob, BulkRow, Interaction
from instances.provisioning.create import NewCreate
from instances.provisioning.lifecycle.provision import CreateResult
from instances.provisioning.lifecycle.schedule import SEND_WITHIN
from instances.provisioning.lifecycle.states import Move, State

PAUSE_SECONDS = 1.0
_NOT_SENT = "Not sent: the bulk job was stopped, or the platform asked to wait."

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed row for a thread to process."""

    row: BulkRow
    # Nothing may be sent after it.
    deadline: Deadline
    # What is stored for the row and only has to be sent. None: the state of the row's instance decides what to do.
    create: NewCreate | None = None
    # Whether the database stored an instance for the row was not confirmed.
    is_unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """A processed row, with what is stored in the same transaction."""

    row: BulkRow
    # The result of sending its instance.
    create: CreateResult | None = field(default=None, repr=False)
    # The state change of an instance that was not sent.
    move: Move | None = None
    interactions: Sequence[Interaction] = field(default=(), repr=False)
    # The database was unavailable. Nothing is stored: the row becomes due again when its lease expires.
    is_lost: bool = False


class Run:
    """One process's run of a job."""

    def __init__(self, job: BulkJob) -> None:
        self.job = job
        self.holder: UUID = uuid4()
        # Set when nothing more may be sent.
        self.stopping = threading.Event()
        self._backoff_until: dict[str, datetime] = {}

    def backoffs(self, *, at: datetime) -> dict[str, datetime]:
        """Return the elements whose platform asked to wait, with the end of the wait."""
        return {key: until for key, until in self._backoff_until.items() if until > at}

    def may_start(self, work: Work) -> bool:
        """Wait until the element's backoff ends; False if the row may not be sent then.

        Because the job is stopping, or it would be too late.
        """
        if until := self._backoff_until.get(work.row.element_key):
            seconds = (until - timezone.now()).total_seconds()
            if seconds > work.deadline.seconds_left:
                return False
            self.stopping.wait(max(seconds, 0))
        return not self.stopping.is_set() and not work.deadline.has_passed

    def refuse(self, row: BulkRow, error: InstancesError) -> Result:
        """Put the row off or let it fail, and its element's other rows wait if the platform asked for that."""
        if isinstance(error, PlatformError) and error.retry_after_seconds:
            rest = timedelta(seconds=error.retry_after_seconds)
            self._backoff_until[row.element_key] = timezone.now() + rest
        end_or_put_off_row(row, error)
        return Result(row)

    def give_back(self, work: Work) -> Result:
        """Release a row that was not sent; its instance becomes a draft again."""
        now, row = timezone.now(), work.row
        give_back_row(row, due_at=max(now, self._backoff_until.get(row.element_key, now)))
        if work.create:
            return Result(row, move=Move(work.create.instance, State.DRAFT, _NOT_SENT))
        return Result(row)


def fault(row: BulkRow) -> Result:
    """Let a row fail because of an error in this program, which the log shows."""
    message = "An unexpected error occurred. See the log for details."
    end_row(row, Outcome.FAILED, message, cause=Cause.UNEXPECTED)
    return Result(row)


def row_lease() -> timedelta:
    """How long a claimed row is held.

    Until it must be sent, plus a few exchanges with their full HTTP timeout.
    """
    return SEND_WITHIN + timedelta(seconds=3 * settings.HTTP_TIMEOUT_SECONDS + 5)


def pause_after(error: AnyDatabaseError) -> None:
    """Wait a moment before the database is used again."""
    log.warning("bulk job cannot write", error=type(error).__name__)
    connection.close()
    time.sleep(PAUSE_SECONDS)
