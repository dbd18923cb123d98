"""Running a bulk job: rows are claimed with a lease, sent by a pool of threads, and tried again where that helps.

Exactly once: a row's instance is written, together with the row, before anything is sent. From then on the instance's
own state says how to go on, and a create that may have arrived is reconciled before another one is sent.

One thread claims, drafts and stores, many rows at a time; the others wait for the network, and write only where a row
goes its way by itself.
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

# What is due later than this is left to the task that the scheduler enqueues then.
CHUNK_PATIENCE_SECONDS = 5.0
# A task takes no further row after this: brokers take one for lost that is not acknowledged (RabbitMQ after 30 minutes).
CHUNK_SECONDS = 600.0
POLL_SECONDS = 1.0
# So much work for each thread is drafted ahead, so that none waits for the database.
ROWS_PER_THREAD = 6
STORE_EVERY_SECONDS = 0.1
LOOK_AGAIN_SECONDS = 0.2
# An interrupted run waits so long for the answers to what it has sent.
INTERRUPTED_SECONDS = 2.5
_WORKER_LOST = (
    f"Its worker ended {MAX_ATTEMPTS} times while it was at this row, so it was given up. Look at its instance, "
    "then retry it."
)
_NOT_SENT = "It was not sent after all: its bulk job was stopped, or its platform asked to wait."

log = structlog.stdlib.get_logger(__name__)


def run_bulk_job(
    job: BulkJob, *, is_interrupted: Callable[[], bool] = lambda: False
) -> Generator[BulkRow, None, None]:
    """Work on a running job until no row is left; yields each when it has ended.

    Ends early when the job is paused or cancelled. When it is closed, rows that were begun are brought to their end.
    Once is_interrupted() is true, it ends within INTERRUPTED_SECONDS, gives back every row that has not ended, and
    leaves the job running. Raises ClockSkewError, then too.
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
    """Work on at most CHUNK_ROWS rows of a running job that are due, for CHUNK_SECONDS; how many have ended.

    Raises ClockSkewError when rows that were begun have been brought to their end.
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
    """How long a row belongs to who claimed it: until it is sent, and a few exchanges with their whole HTTP budget."""
    return SEND_WITHIN + timedelta(seconds=3 * settings.HTTP_TIMEOUT_SECONDS + 5)


class _Run:
    """What one process does for a job, with as many threads as the job allows."""

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
        """Each row when it has ended."""
        # Daemons: whoever is interrupted does not wait for a provider that never answers.
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
            # What was claimed comes back when its lease has run out.
            self._pause_after(error)
            return True

    def _poll(self) -> None:
        """A job that is paused or cancelled has what was not sent yet given back. Nothing new is begun when time is up."""
        if monotonic() >= self._ends_at:
            self._rows_allowed = 0
        if monotonic() >= self._poll_at:
            self._poll_at = monotonic() + POLL_SECONDS
            running = BulkJob.objects.filter(pk=self._job.pk, state=BulkJob.State.RUNNING)
            if not running.exists():
                self._stopping.set()

    def _refill(self) -> None:
        """Give the threads work, while less than enough is waiting for them."""
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
            resting=self._resting(at=at),
        )

    def _claim_suspect(self, *, at: datetime) -> list[BulkRow]:
        """One row that may be what ended its workers, when nothing else is under way: it takes no other row along."""
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
        """Wait a while for the next row to be due; whether there is one to wait for."""
        now = timezone.now()
        rows = BulkRow.objects.filter(job=self._job, job__state=BulkJob.State.RUNNING)
        if self._rows_allowed <= 0 or self._stopping.is_set() or rows.next_due_at() is None:
            return False
        resting = self._resting(at=now)
        first = rows.exclude(element_key__in=resting).next_due_at()
        soonest = min(due_at for due_at in (first, *resting.values()) if due_at)
        seconds = (soonest - now).total_seconds()
        if seconds > self._patience_seconds:
            return False
        self._stopping.wait(min(max(seconds, 0.0), POLL_SECONDS))
        self._look_at = 0.0
        return True

    def _resting(self, *, at: datetime) -> dict[str, datetime]:
        """The elements that are left alone for as long as they asked for, so that not every row has to be refused."""
        return {key: until for key, until in self._backoff_until.items() if until > at}

    def _store(self) -> list[BulkRow]:
        """Wait a moment for what comes back, and write it; the rows that have ended."""
        self._gather()
        if not self._unstored:
            return []
        ended: list[BulkRow] = []
        try:
            ended += self._stored_before()
            ended += self._stored(self._unstored)
        except (OperationalError, InterfaceError) as error:
            # They are written with the next ones.
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
        """Store what was sent, and give back the rest.

        The threads themselves tell when nothing more can come: no count can be wrong, wherever an interrupt fell.
        """
        self._stopping.set()
        self._take_back_work()
        for _ in threads:
            self._work.put(None)
        ends_at = monotonic() + INTERRUPTED_SECONDS if self._is_interrupted() else math.inf
        # After that, other processes take over, and ask the platform for what was sent.
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
        """What no thread has begun is not sent any more."""
        while not self._work.empty():
            with suppress(Empty):
                if work := self._work.get_nowait():
                    self._results.put(self._unsent(work))

    def _release(self) -> None:
        """Give back at once whatever is still this run's, not only when its lease has run out."""
        try:
            BulkRow.objects.held_by(self._holder).filter(job=self._job).release(at=timezone.now())
        except AnyDatabaseError as error:
            log.warning("bulk job cannot give back rows", error=type(error).__name__)

    def _pause_after(self, error: AnyDatabaseError) -> None:
        log.warning("bulk job cannot write", error=type(error).__name__)
        connection.close()
        time.sleep(POLL_SECONDS)

    def _work_off(self) -> None:
        """What each of the threads does."""
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
        """Waits while its element rests; not so long that it would come too late."""
        if until := self._backoff_until.get(work.row.element_key):
            seconds = (until - timezone.now()).total_seconds()
            if seconds > work.send_before.seconds_left:
                return False
            self._stopping.wait(max(seconds, 0))
        return not self._stopping.is_set() and not work.send_before.has_passed

    def _send(self, work: Sendable) -> Result:
        """Only the network is used: what comes of it is written with what comes of other rows."""
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
        """What is not straight: its instance is written as it goes. None where nothing can be written."""
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
                # It comes back when its lease has run out.
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
        """Nothing was sent: the row is given back, and its instance is a draft again."""
        now = timezone.now()
        row = work.row
        give_back_row(row, due_at=max(now, self._backoff_until.get(row.element_key, now)))
        if isinstance(work, Sendable):
            return Result(row, move=Move(work.instance, State.DRAFT, _NOT_SENT))
        return Result(row)


def _fault(row: BulkRow) -> Result:
    end_row(row, Outcome.FAILED, "An unexpected fault; the log holds it.")
    return Result(row)
