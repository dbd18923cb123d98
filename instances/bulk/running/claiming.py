"""Claim the rows of a bulk job that are due, and store their instances."""

from collections.abc import Sequence
from datetime import datetime
from time import monotonic

import structlog
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from instances.bulk.running.inserting import Inserter
from instances.bulk.running.work import Result, Run, Work, row_lease
from instances.deadlines import Deadline
from instances.models import BulkJob, BulkRow
from instances.models.bulk_jobs import BulkRowQuerySet
from instances.provisioning.lifecycle.provision import create_deadline
from instances.queries.database_clock import require_right_clock

# Rows stored ahead per thread, so that no thread waits for the database.
ROWS_PER_THREAD = 8
POLL_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.2

log = structlog.stdlib.get_logger(__name__)


class Claimer:
    """Claims rows for a run, so many that its threads always have work."""

    def __init__(
        self,
        run: Run,
        inserter: Inserter,
        *,
        threads: int,
        max_rows: int,
        max_seconds: float,
        patience_seconds: float,
    ) -> None:
        self.claimed = 0
        self._run = run
        self._inserter = inserter
        self._threads = threads
        self._max_rows = max_rows
        self._ends_at = monotonic() + max_seconds
        self._patience_seconds = patience_seconds
        self._is_at_suspect = False
        self._look_at = self._poll_at = 0.0

    def claim(self, under_way: int) -> list[Work | Result]:
        """Claim more rows if too few are under way for the threads; nothing once the time is up.

        Raises ClockSkewError.
        """
        if monotonic() >= self._ends_at:
            self._max_rows = self.claimed
        self._stop_unless_running()
        self._is_at_suspect = self._is_at_suspect and under_way > 0
        limit = min(ROWS_PER_THREAD * self._threads - under_way, self._rows_allowed)
        is_early = monotonic() < self._look_at
        is_enough = limit < min(4 * self._threads, self._rows_allowed) or self._is_at_suspect
        if self._run.stopping.is_set() or is_early or is_enough:
            return []
        require_right_clock()
        now, deadline = timezone.now(), create_deadline()
        rows = self._claim(BulkRow.objects.not_quarantined(), limit, at=now)
        rows = rows or self._claim_suspect(under_way, at=now)
        self.claimed += len(rows)
        if not rows:
            self._look_at = monotonic() + LOOK_AGAIN_SECONDS
            return []
        return self._inserted(rows, deadline=deadline)

    def wait_for_rows(self) -> bool:
        """Wait a moment for the next due row; False if there is none, or much later."""
        now, stopping = timezone.now(), self._run.stopping
        rows = BulkRow.objects.filter(job=self._run.job, job__state=BulkJob.State.RUNNING)
        if self._rows_allowed <= 0 or stopping.is_set() or rows.next_due_at() is None:
            return False
        backoffs = self._run.rests.of_elements(at=now)
        first = rows.exclude(element_key__in=backoffs).next_due_at()
        soonest = min((due_at for due_at in (first, *backoffs.values()) if due_at), default=None)
        if soonest is None:
            # Another process has just finished the last ones.
            return False
        seconds = (soonest - now).total_seconds()
        if seconds > self._patience_seconds:
            return False
        # A row that is due now may be another process's, or have to wait until no other one is under way.
        stopping.wait(min(max(seconds, LOOK_AGAIN_SECONDS), POLL_SECONDS))
        self._look_at = 0.0
        return True

    @property
    def _rows_allowed(self) -> int:
        return self._max_rows - self.claimed

    def _stop_unless_running(self) -> None:
        """Look at times whether the job was paused or cancelled."""
        if monotonic() >= self._poll_at:
            self._poll_at = monotonic() + POLL_SECONDS
            running = BulkJob.objects.filter(pk=self._run.job.pk, state=BulkJob.State.RUNNING)
            if not running.exists():
                self._run.stopping.set()

    def _claim(self, rows: BulkRowQuerySet, limit: int, *, at: datetime) -> list[BulkRow]:
        return rows.claim(
            self._run.job,
            holder=self._run.holder,
            at=at,
            lease=row_lease(),
            limit=limit,
            paused=self._run.rests.of_elements(at=at),
        )

    def _claim_suspect(self, under_way: int, *, at: datetime) -> list[BulkRow]:
        """Claim one quarantined row, if no other row could be lost with it.

        Such a row may have crashed its worker.
        """
        if under_way or self._rows_allowed <= 0:
            return []
        rows = self._claim(BulkRow.objects.quarantined(), 1, at=at)
        self._is_at_suspect = bool(rows)
        return rows

    def _inserted(self, rows: Sequence[BulkRow], *, deadline: Deadline) -> list[Work | Result]:
        """Store the rows' instances together. If that fails, each thread stores its own row's."""
        try:
            return self._inserter.insert(rows, deadline=deadline)
        except (OperationalError, InterfaceError) as error:
            log.warning("bulk job inserts row by row", error=type(error).__name__)
            return [Work(row, deadline, is_unconfirmed=True) for row in rows]
        except Exception:  # one row must not stop the others
            log.exception("bulk job inserts row by row", job=self._run.job.pk)
            return [Work(row, deadline) for row in rows]
