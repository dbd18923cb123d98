"""Run a bulk job: claim rows, send them from a pool of threads, and retry.

Exactly once: a row's instance is stored, together with the row, before anything is sent. From then on the instance's
state decides what to do next, and a create whose answer was lost is reconciled before another one is sent.

The calling thread claims rows (`claiming.py`), stores their instances (`inserting.py`) and their results (`storing.py`),
many at a time. The other threads wait for the network (`sending.py`).
"""

import math
import sys
from collections.abc import Callable, Generator
from datetime import datetime
from time import monotonic

import structlog
from django.db import Error as AnyDatabaseError
from django.utils import timezone

from instances.bulk.chunks import CHUNK_ROWS, record_rest
from instances.bulk.jobs import finish_bulk_job
from instances.bulk.running.claiming import Claimer
from instances.bulk.running.inserting import Inserter
from instances.bulk.running.sending import Senders
from instances.bulk.running.storing import ResultStore
from instances.bulk.running.work import Run, pause_after, row_lease
from instances.deadlines import Deadline
from instances.models import BulkJob, BulkRow

# Rows that are due later than this are left to a task that the scheduler enqueues then.
CHUNK_PATIENCE_SECONDS = 5.0
# A task claims no row after this, so that other jobs and actions wait no longer for its worker.
CHUNK_SECONDS = 20.0
# An interrupted run waits this long for answers to requests that are already sent.
INTERRUPTED_SECONDS = 2.5

log = structlog.stdlib.get_logger(__name__)


def run_bulk_job(
    job: BulkJob, *, is_interrupted: Callable[[], bool] = lambda: False
) -> Generator[BulkRow, None, None]:
    """Process a running job until no row is left; yields each finished row.

    Stops early if the job is paused or cancelled. When the generator is closed, rows in progress finish first. Once
    is_interrupted() is true, it stops within INTERRUPTED_SECONDS, releases every unfinished row, and leaves the job
    running. Raises ClockSkewError, after releasing rows in the same way.
    """
    runner = _Runner(
        job,
        max_rows=sys.maxsize,
        max_seconds=math.inf,
        patience_seconds=math.inf,
        is_interrupted=is_interrupted,
    )
    yield from runner.rows()
    finish_bulk_job(job)


def run_chunk(job: BulkJob) -> int:
    """Process up to CHUNK_ROWS due rows of a running job; returns how many finished.

    Claims no row after CHUNK_SECONDS.

    Raises ClockSkewError, after rows in progress have finished.
    """
    runner = _Runner(
        job,
        max_rows=CHUNK_ROWS,
        max_seconds=CHUNK_SECONDS,
        patience_seconds=CHUNK_PATIENCE_SECONDS,
    )
    ended = sum(1 for _ in runner.rows())
    record_rest(job, runner.rests)
    finish_bulk_job(job)
    return ended


class _Runner:
    """The work of one process for a job, with up to `job.concurrency` threads."""

    def __init__(
        self,
        job: BulkJob,
        *,
        max_rows: int,
        max_seconds: float,
        patience_seconds: float,
        is_interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        threads = max(min(job.concurrency, job.rows.unfinished().count(), max_rows), 1)
        self._run = Run(job)
        self._is_interrupted = is_interrupted
        inserter = Inserter(self._run)
        self._claimer = Claimer(
            self._run,
            inserter,
            threads=threads,
            max_rows=max_rows,
            max_seconds=max_seconds,
            patience_seconds=patience_seconds,
        )
        self._senders = Senders(self._run, inserter, threads=threads)
        self._store = ResultStore(self._run, self._senders.results, threads=threads)

    def rows(self) -> Generator[BulkRow, None, None]:
        """Yield each row when it is finished."""
        self._senders.start()
        try:
            while self._is_going_on():
                yield from self._store.store_next(self._claimer.claimed)
        finally:
            self._finish()

    @property
    def rests(self) -> dict[str, datetime]:
        """The elements all rows of which have to wait, with the end of the wait."""
        return self._run.rests.of_elements(at=timezone.now())

    @property
    def _under_way(self) -> int:
        return self._claimer.claimed - self._store.settled

    def _is_going_on(self) -> bool:
        if self._is_interrupted():
            return False
        try:
            for item in self._claimer.claim(self._under_way):
                self._senders.put(item)
            return self._under_way > 0 or self._claimer.wait_for_rows()
        except AnyDatabaseError as error:
            # Claimed rows become due again when their lease expires.
            pause_after(error)
            return True

    def _finish(self) -> None:
        """Store the results of what was sent, and release all other rows.

        Waits for the threads to end instead of counting rows, since an interrupt may have made the count wrong.
        """
        self._run.stopping.set()
        self._senders.stop()
        ends_at = math.inf
        # Once the lease expires, other processes take over and reconcile what was sent.
        lease = Deadline(row_lease())
        while not self._store.has_all and not (self._store.has_unstored and lease.has_passed):
            if self._is_interrupted():
                ends_at = min(ends_at, monotonic() + INTERRUPTED_SECONDS)
            if monotonic() >= ends_at:
                break
            self._store.store_next(math.inf)
        self._release()

    def _release(self) -> None:
        """Release the rows that this run still holds, before their lease expires."""
        held = BulkRow.objects.held_by(self._run.holder).filter(job=self._run.job)
        try:
            held.release(at=timezone.now())
        except AnyDatabaseError as error:
            log.warning("bulk job cannot release rows", error=type(error).__name__)
