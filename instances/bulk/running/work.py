"""What the threads of a bulk job's run share, and what they hand to each other."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import Error as AnyDatabaseError, connection
from django.utils import timezone

from instances.bulk.rows import Outcome, end_or_put_off_row, end_row, give_back_row
from instances.bulk.running.rests import Rests, Spot
from instances.causes import Cause
from instances.deadlines import Deadline
from instances.errors import InstancesError
from instances.models import BulkJob, BulkRow, Interaction
from instances.provisioning.create import NewCreate
from instances.provisioning.lifecycle.pacing import Place
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
    # Where its requests go; None if that is not known yet.
    place: Place | None = None

    @property
    def spot(self) -> Spot:
        return Spot(self.row.element_key, self.place)


@dataclass(frozen=True, slots=True)
class Result:
    """A processed row, with what is stored in the same transaction."""

    row: BulkRow
    # The result of sending its instance.
    create: CreateResult | None = field(default=None, repr=False)
    # Why it did not succeed.
    error: InstancesError | None = None
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
        self.rests = Rests()

    def must_give_back(self, work: Work) -> bool:
        """Whether the job is stopping, or it would be too late when the row's turn comes."""
        if self.stopping.is_set() or work.deadline.has_passed:
            return True
        rests_until = self.rests.end_of(work.spot)
        if rests_until is None:
            return False
        return (rests_until - timezone.now()).total_seconds() > work.deadline.seconds_left

    def refuse(self, row: BulkRow, error: InstancesError) -> Result:
        """Put the row off, or let it fail."""
        end_or_put_off_row(row, error)
        return Result(row, error=error)

    def give_back(self, work: Work) -> Result:
        """Release a row that was not sent; its instance becomes a draft again."""
        row = work.row
        give_back_row(row, due_at=self.rests.end_of(work.spot) or timezone.now())
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
