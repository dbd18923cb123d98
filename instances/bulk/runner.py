"""Run a bulk job: claim rows, send them from a pool of threads, and retry.

Exactly once: a row's instance is stored, together with the row, before anything is sent. From then on the instance's
state decides what to do next, and a create whose answer was lost is reconciled before another one is sent.

The calling thread claims, drafts and stores many rows at a time. The other threads wait for the network, and write to
the database only for rows that are processed individually.
"""

import math
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from time import monotonic
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import Error as AnyDatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone

from instances.bulk.batches import (
    Drafting,
    Result,
    Sendable,
    Unconfirmed,
    Work,
    store_results,
)
from instances.bulk.jobs import CHUNK_ROWS, finish_bulk_job
from instances.bulk.rows import (
    MAX_ATTEMPTS,
    Outcome,
    end_or_put_off_row,
    end_row,
    finish_row,
    give_back_row,
    hold_rows,
    stored_before,
)
from instances.deadlines import Deadline
from instances.errors import InstancesError, RateLimitedError
from instances.models import BulkJob, BulkRow
from instances.models.bulk_jobs import BulkRowQuerySet
from instances.platforms.transport import deferred_interactions
from instances.provisioning.create import parse_body
from instances.provisioning.lifecycle.provision import send_create
from instances.provisioning.lifecycle.schedule import SEND_WITHIN
from instances.provisioning.lifecycle.states import Move, State
from instances.queries.database_clock import require_right_clock

# Rows that are due later than this are left to a task that the scheduler enqueues then.
CHUNK_PATIENCE_SECONDS = 5.0
# A task starts no row after this: brokers redeliver a task that is not acknowledged (RabbitMQ: after 30 minutes).
CHUNK_SECONDS = 600.0
POLL_SECONDS = 1.0
# Rows drafted ahead per thread, so that no thread waits for the database.
ROWS_PER_THREAD = 6
STORE_EVERY_SECONDS = 0.1
LOOK_AGAIN_SECONDS = 0.2
# An interrupted run waits this long for answers to requests that are already sent.
INTERRUPTED_SECONDS = 2.5
_WORKER_LOST = f"The worker crashed {MAX_ATTEMPTS} times on this row, so it was skipped. Check its instance, then retry the row."
_NOT_SENT = "Not sent: the bulk job was stopped, or the platform asked to wait."

log = structlog.stdlib.get_logger(__name__)


def run_bulk_job(
    job: BulkJob, *, is_interrupted: Callable[[], bool] = lambda: False
) -> Generator[BulkRow, None, None]:
    """Process a running job until no row is left; yields each finished row.

    Stops early if the job is paused or cancelled. When the generator is closed, rows in progress finish first. Once
    is_interrupted() is true, it stops within INTERRUPTED_SECONDS, releases every unfinished row, and leaves the job
    running. Raises ClockSkewError, after releasing rows in the same way.
    """
    run = _Run(
        job,
        max_rows=sys.maxsize,
        max_seconds=math.inf,
        patience_seconds=math.inf,
        is_interrupted=is_interrupted,
    )
    yield from run.rows()
    finish_bulk_job(job)


def run_chunk(job: BulkJob) -> int:
    """Process up to CHUNK_ROWS due rows of a running job; returns how many finished.

    Starts no row after CHUNK_SECONDS.

    Raises ClockSkewError, after rows in progress have finished.
    """
    run = _Run(
        job,
        max_rows=CHUNK_ROWS,
        max_seconds=CHUNK_SECONDS,
        patience_seconds=CHUNK_PATIENCE_SECONDS,
    )
    ended = sum(1 for _ in run.rows())
    finish_bulk_job(job)
    return ended


def row_lease() -> timedelta:
    """How long a claimed row is held.

    Until it must be sent, plus a few exchanges with their full HTTP timeout.
    """
    return SEND_WITHIN + timedelta(seconds=3 * settings.HTTP_TIMEOUT_SECONDS + 5)


class _Run:
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
        self._job = job
        self._holder = uuid4()
        self._drafting = Drafting(job, self._holder)
        self._rows_allowed = max_rows
        self._ends_at = monotonic() + max_seconds
        self._patience_seconds = patience_seconds
        self._is_interrupted = is_interrupted
        self._threads = max(min(job.concurrency, job.rows.unfinished().count(), max_rows), 1)
        self._stopping = threading.Event()
        self._work = SimpleQueue[Work | None]()
        self._results = SimpleQueue[Result | None]()
        self._unstored: list[Result] = []
        self._is_unconfirmed = False
        self._under_way = 0
        self._is_at_suspect = False
        self._look_at = self._poll_at = 0.0
        self._backoff_until: dict[str, datetime] = {}

    def rows(self) -> Generator[BulkRow, None, None]:
        """Yield each row when it is finished."""
        # Daemons: an interrupted process does not wait for a provider that never answers.
        threads = [
            threading.Thread(target=self._work_off, daemon=True) for _ in range(self._threads)
        ]
        for thread in threads:
            thread.start()
        try:
            while self._is_going_on():
                yield from self._store()
        finally:
            self._finish(threads)

    def _is_going_on(self) -> bool:
        if self._is_interrupted():
            return False
        try:
            self._poll()
            self._refill()
            return self._under_way > 0 or self._wait_for_rows()
        except AnyDatabaseError as error:
            # Claimed rows become due again when their lease expires.
            self._pause_after(error)
            return True

    def _poll(self) -> None:
        """Stop if the job is not running any more; claim no rows when the time is up."""
        if monotonic() >= self._ends_at:
            self._rows_allowed = 0
        if monotonic() >= self._poll_at:
            self._poll_at = monotonic() + POLL_SECONDS
            running = BulkJob.objects.filter(pk=self._job.pk, state=BulkJob.State.RUNNING)
            if not running.exists():
                self._stopping.set()

    def _refill(self) -> None:
        """Claim more rows if too few are queued for the threads."""
        self._is_at_suspect = self._is_at_suspect and self._under_way > 0
        limit = min(ROWS_PER_THREAD * self._threads - self._under_way, self._rows_allowed)
        is_early = monotonic() < self._look_at
        is_enough = limit < min(2 * self._threads, self._rows_allowed) or self._is_at_suspect
        if self._stopping.is_set() or is_early or is_enough:
            return
        require_right_clock()
        now, send_before = timezone.now(), Deadline(SEND_WITHIN)
        rows = self._claim(BulkRow.objects.not_quarantined(), limit, at=now)
        rows = rows or self._claim_suspect(at=now)
        self._rows_allowed -= len(rows)
        if not rows:
            self._look_at = monotonic() + LOOK_AGAIN_SECONDS
            return
        self._under_way += len(rows)
        for one in self._drafted(rows, send_before=send_before):
            if isinstance(one, Work):
                self._work.put(one)
            else:
                self._results.put(one)

    def _claim(self, rows: BulkRowQuerySet, limit: int, *, at: datetime) -> list[BulkRow]:
        return rows.claim(
            self._job,
            holder=self._holder,
            at=at,
            lease=row_lease(),
            limit=limit,
            paused=self._paused(at=at),
        )

    def _claim_suspect(self, *, at: datetime) -> list[BulkRow]:
        """Claim one quarantined row, if no other row could be lost with it.

        Such a row may have crashed its worker.
        """
        if self._under_way or self._rows_allowed <= 0:
            return []
        rows = self._claim(BulkRow.objects.quarantined(), 1, at=at)
        self._is_at_suspect = bool(rows)
        return rows

    def _drafted(self, rows: Sequence[BulkRow], *, send_before: Deadline) -> list[Work | Result]:
        try:
            return self._drafting.draft_rows(rows, send_before=send_before)
        except (OperationalError, InterfaceError) as error:
            log.warning("bulk job drafts row by row", error=type(error).__name__)
            return [Unconfirmed(row, send_before) for row in rows]
        except Exception:  # one row must not stop the others
            log.exception("bulk job drafts row by row", job=self._job.pk)
            return [Work(row, send_before) for row in rows]

    def _wait_for_rows(self) -> bool:
        """Wait a moment for the next due row; False if there is none, or much later."""
        now = timezone.now()
        rows = BulkRow.objects.filter(job=self._job, job__state=BulkJob.State.RUNNING)
        if self._rows_allowed <= 0 or self._stopping.is_set() or rows.next_due_at() is None:
            return False
        paused = self._paused(at=now)
        first = rows.exclude(element_key__in=paused).next_due_at()
        soonest = min(due_at for due_at in (first, *paused.values()) if due_at)
        seconds = (soonest - now).total_seconds()
        if seconds > self._patience_seconds:
            return False
        self._stopping.wait(min(max(seconds, 0.0), POLL_SECONDS))
        self._look_at = 0.0
        return True

    def _paused(self, *, at: datetime) -> dict[str, datetime]:
        """Elements whose platform asked to wait, with the end of the wait.

        Their rows are not claimed until then.
        """
        return {key: until for key, until in self._backoff_until.items() if until > at}

    def _store(self) -> list[BulkRow]:
        """Wait a moment for results, and store them; returns the finished rows."""
        self._gather()
        if not self._unstored:
            return []
        ended: list[BulkRow] = []
        try:
            ended += self._stored_before()
            ended += self._stored(self._unstored)
        except (OperationalError, InterfaceError) as error:
            # They are stored together with the next results.
            self._is_unconfirmed = True
            self._pause_after(error)
            return ended
        except Exception:  # one row must not spoil the others
            log.exception("bulk job stores row by row", job=self._job.pk)
            ended += [row for result in self._unstored for row in self._store_alone(result)]
        self._under_way -= len(self._unstored)
        self._unstored = []
        return ended

    def _stored_before(self) -> list[BulkRow]:
        """Leave out what the last attempt stored without a confirmation; the rows of it that have ended."""
        if not self._is_unconfirmed:
            return []
        before = stored_before([result.row for result in self._unstored])
        self._unstored = [one for one in self._unstored if one.row not in before]
        self._under_way -= len(before)
        self._is_unconfirmed = False
        return [row for row in before if row.due_at is None]

    def _gather(self) -> None:
        ends_at = monotonic() + STORE_EVERY_SECONDS
        while len(self._unstored) < 2 * self._threads and (seconds := ends_at - monotonic()) > 0:
            try:
                result = self._results.get(timeout=seconds)
            except Empty:
                return
            if result is None:
                self._under_way -= 1
            else:
                self._unstored.append(result)

    def _stored(self, results: Sequence[Result]) -> list[BulkRow]:
        return store_results(results, holder=self._holder, actor=self._job.actor)

    def _store_alone(self, result: Result) -> list[BulkRow]:
        try:
            return self._stored([result])
        except Exception:  # one row must not spoil the others
            log.exception("bulk job failed at a row", job=self._job.pk, row=result.row.number)
            return self._stored([_fault(result.row)])

    def _finish(self, threads: Sequence[threading.Thread]) -> None:
        """Store the results of what was sent, and release all other rows.

        Waits for the threads to end instead of counting rows, since an interrupt may have made the count wrong.
        """
        self._stopping.set()
        self._take_back_work()
        for _ in threads:
            self._work.put(None)
        ends_at = monotonic() + INTERRUPTED_SECONDS if self._is_interrupted() else math.inf
        # Once the lease expires, other processes take over and reconcile what was sent.
        lease = Deadline(row_lease())
        while monotonic() < ends_at and not (self._unstored and lease.has_passed):
            is_last = not any(thread.is_alive() for thread in threads)
            self._store()
            if is_last and self._results.empty() and not self._unstored:
                break
            if self._is_interrupted():
                ends_at = min(ends_at, monotonic() + INTERRUPTED_SECONDS)
        self._release()

    def _take_back_work(self) -> None:
        """Take queued work away from the threads, so that it is not sent any more."""
        while not self._work.empty():
            with suppress(Empty):
                if work := self._work.get_nowait():
                    self._results.put(self._unsent(work))

    def _release(self) -> None:
        """Release the rows that this run still holds, before their lease expires."""
        try:
            BulkRow.objects.held_by(self._holder).filter(job=self._job).release(at=timezone.now())
        except AnyDatabaseError as error:
            log.warning("bulk job cannot release rows", error=type(error).__name__)

    def _pause_after(self, error: AnyDatabaseError) -> None:
        log.warning("bulk job cannot write", error=type(error).__name__)
        connection.close()
        time.sleep(POLL_SECONDS)

    def _work_off(self) -> None:
        """Process queued work until a None: the main function of each thread."""
        try:
            while (work := self._work.get()) is not None:
                self._results.put(
                    self._send(work)
                    if isinstance(work, Sendable)
                    else self._process_individually(work)
                )
        finally:
            connection.close()

    def _may_begin(self, work: Work) -> bool:
        """Wait until the element's backoff ends; False if the row may not be sent then.

        Because the job is stopping, or it would be too late.
        """
        if until := self._backoff_until.get(work.row.element_key):
            seconds = (until - timezone.now()).total_seconds()
            if seconds > work.send_before.seconds_left:
                return False
            self._stopping.wait(max(seconds, 0))
        return not self._stopping.is_set() and not work.send_before.has_passed

    def _send(self, work: Sendable) -> Result:
        """Send a create without using the database.

        Its result is stored together with those of other rows.
        """
        row = work.row
        if not self._may_begin(work):
            return self._unsent(work)
        with deferred_interactions() as interactions:
            try:
                creation = send_create(work.instance, work.request)
            except Exception:  # one row must not stop the others
                log.exception("bulk job failed at a row", job=self._job.pk, row=row.number)
                return replace(_fault(row), interactions=interactions)
        if creation.error:
            self._fail(row, creation.error)
        else:
            end_row(row, Outcome.SUCCEEDED)
        return Result(row, creation, interactions=interactions)

    def _process_individually(self, work: Work) -> Result | None:
        """Process a row that is not on the fast path, storing its instance step by step.

        Returns None if the database is unavailable.
        """
        row = work.row
        if row.attempts > MAX_ATTEMPTS:
            end_row(row, Outcome.FAILED, _WORKER_LOST)
        elif not self._may_begin(work):
            return self._unsent(work)
        else:
            try:
                if isinstance(work, Unconfirmed):
                    row.refresh_from_db()
                end_row(row, self._provision(row))
            except InstancesError as error:
                self._fail(row, error)
            except AnyDatabaseError as error:
                # The row becomes due again when its lease expires.
                self._pause_after(error)
                return None
            except Exception:  # one row must not stop the others
                log.exception("bulk job failed at a row", job=self._job.pk, row=row.number)
                return _fault(row)
        return Result(row)

    def _provision(self, row: BulkRow) -> str:
        body = parse_body(row.body.reveal())
        row.due_at = timezone.now() + row_lease()
        if row.instance_id is not None:
            hold_rows([row], holder=self._holder)
        elif not self._drafting.draft_row(row, body):
            return Outcome.SKIPPED
        return finish_row(row, body, actor=self._job.actor)

    def _fail(self, row: BulkRow, error: InstancesError) -> None:
        if isinstance(error, RateLimitedError) and error.retry_after_seconds:
            rest = timedelta(seconds=error.retry_after_seconds)
            self._backoff_until[row.element_key] = timezone.now() + rest
        end_or_put_off_row(row, error)

    def _unsent(self, work: Work) -> Result:
        """Release a row that was not sent; its instance becomes a draft again."""
        now = timezone.now()
        row = work.row
        give_back_row(row, due_at=max(now, self._backoff_until.get(row.element_key, now)))
        if isinstance(work, Sendable):
            return Result(row, move=Move(work.instance, State.DRAFT, _NOT_SENT))
        return Result(row)


def _fault(row: BulkRow) -> Result:
    end_row(row, Outcome.FAILED, "An unexpected error occurred. See the log for details.")
    return Result(row)
