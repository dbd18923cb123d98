"""Running a bulk job: rows are claimed with a lease, provisioned by a pool of threads, and tried again where that helps.

Exactly once: a row's draft and its instance are written together before anything is sent. From then on the instance's
own state says how to go on, and a create that may have arrived is reconciled before another one is sent.
"""

import math
import random
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from queue import SimpleQueue
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from instances.errors import InstancesError, RateLimitedError, StateConflictError
from instances.models import BulkJob, BulkRow, Element, Instance
from instances.provisioning.bodies import draft_arguments, element_of, parse_body
from instances.provisioning.bulk_jobs import CHUNK_ROWS, finish_bulk_job
from instances.provisioning.bulk_rows import bring_to_its_end, existing_instance
from instances.provisioning.drafts import create_draft
from instances.provisioning.due_times import SETTLED_AFTER
from instances.wire import InstanceBody

CLAIM_ROWS = 4
# So often, an outage of about two minutes is outlived.
MAX_ATTEMPTS = 8
# What is due later than this is left to the task that the scheduler enqueues then.
CHUNK_PATIENCE_SECONDS = 5.0
MAX_REST_SECONDS = 30.0
POLL_SECONDS = 1.0
_WORKER_LOST = (
    f"Its worker ended {MAX_ATTEMPTS} times while it was at this row, so it was given up. Look at its instance, "
    "then retry it."
)

Outcome = BulkRow.Outcome
log = structlog.stdlib.get_logger(__name__)


def run_bulk_job(job: BulkJob) -> Generator[BulkRow, None, None]:
    """Work on a running job until no row is left; yields each when it has ended.

    Ends early when the job is paused or cancelled. When it is closed, rows that were begun are brought to their end.
    """
    yield from _Run(job, max_rows=sys.maxsize, patience_seconds=math.inf).rows()
    finish_bulk_job(job)


def run_chunk(job: BulkJob) -> int:
    """Work on at most CHUNK_ROWS rows of a running job that are due; how many have ended."""
    run = _Run(job, max_rows=CHUNK_ROWS, patience_seconds=CHUNK_PATIENCE_SECONDS)
    ended = sum(1 for _ in run.rows())
    finish_bulk_job(job)
    return ended


def row_lease() -> timedelta:
    """How long a row belongs to who began it: a few exchanges, each with its whole HTTP budget."""
    return timedelta(seconds=3 * settings.HTTP_TIMEOUT_SECONDS + 5)


class _Run:
    """What one process does for a job, with as many threads as the job allows."""

    def __init__(self, job: BulkJob, *, max_rows: int, patience_seconds: float) -> None:
        self._job = job
        self._holder = uuid4()
        self._rows_allowed = max_rows
        self._patience_seconds = patience_seconds
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._ended = SimpleQueue[BulkRow | None]()
        self._elements: dict[str, Element] = {}
        self._resting_until: dict[str, datetime] = {}

    def rows(self) -> Generator[BulkRow, None, None]:
        """Each row when it has ended."""
        claims = -(-self._job.rows.unended().count() // CLAIM_ROWS)
        threads = max(min(self._job.concurrency, claims), 1)
        with ThreadPoolExecutor(max_workers=threads) as pool:
            try:
                workers = [pool.submit(self._work_off) for _ in range(threads)]
                while threads:
                    if (row := self._ended.get()) is None:
                        threads -= 1
                    else:
                        yield row
                for worker in workers:
                    worker.result()
            finally:
                self._stopping.set()

    def _work_off(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    if not (rows := self._claim()):
                        return
                    self._run_rows(rows)
                except DatabaseError as error:
                    # What was claimed comes back when its lease has run out.
                    log.warning("bulk job cannot write", error=type(error).__name__)
                    connection.close()
                    self._stopping.wait(POLL_SECONDS)
        finally:
            connection.close()
            self._ended.put(None)

    def _claim(self) -> list[BulkRow]:
        """The next few rows, when there are any; none when nothing is left to do here."""
        rows = BulkRow.objects.filter(job=self._job, job__state=BulkJob.State.RUNNING)
        while not self._stopping.is_set():
            now = timezone.now()
            if (due_at := rows.next_due_at()) is None or self._rows_allowed <= 0:
                return []
            wait_seconds = (due_at - now).total_seconds()
            if wait_seconds > self._patience_seconds:
                return []
            if wait_seconds > 0:
                self._stopping.wait(min(wait_seconds, POLL_SECONDS))
            elif claimed := self._claim_due(now):
                return claimed
        return []

    def _claim_due(self, now: datetime) -> list[BulkRow]:
        with self._lock:
            limit = min(CLAIM_ROWS, self._rows_allowed)
            self._rows_allowed -= limit
        lease = row_lease() * CLAIM_ROWS
        rows = BulkRow.objects.claim(
            self._job, holder=self._holder, at=now, lease=lease, limit=limit
        )
        with self._lock:
            self._rows_allowed += limit - len(rows)
        return rows

    def _run_rows(self, rows: list[BulkRow]) -> None:
        for position, row in enumerate(rows):
            self._rest(row)
            if self._stopping.is_set():
                return self._give_back(rows[position:])
            self._run_row(row)

    def _run_row(self, row: BulkRow) -> None:
        if row.attempts > MAX_ATTEMPTS:
            return self._end(row, Outcome.FAILED, _WORKER_LOST)
        try:
            outcome = self._provision(row)
        except InstancesError as error:
            if error.retryable and row.attempts < MAX_ATTEMPTS:
                self._put_off(row, error)
            else:
                self._end(row, Outcome.FAILED, str(error))
        except DatabaseError:
            raise
        except Exception:  # one row must not stop the others
            log.exception("bulk job failed at a row", job=self._job.pk, row=row.number)
            self._end(row, Outcome.FAILED, "An unexpected fault; the log holds it.")
        else:
            self._end(row, outcome)

    def _provision(self, row: BulkRow) -> str:
        body = parse_body(row.body.reveal())
        if row.instance is not None:
            self._begin(row)
        elif not self._draft(row, body):
            return Outcome.SKIPPED
        return bring_to_its_end(row, body, actor=self._job.actor)

    def _begin(self, row: BulkRow, **columns: object) -> None:
        """Make the row this process's own for its whole lease. Raises StateConflictError when it is no more."""
        held = BulkRow.objects.held_by(self._holder).filter(pk=row.pk)
        if held.update(due_at=timezone.now() + row_lease(), **columns) != 1:
            raise StateConflictError(f"Row {row.number} was taken over by another worker.")

    def _draft(self, row: BulkRow, body: InstanceBody) -> bool:
        """Draft the row's instance; not where one is there already, and the job skips those."""
        user, element = self._job.organization_user, self._element(row, body)
        arguments = draft_arguments(element, body)
        row.body = {"providerData": body.provider_data} if body.provider_data else {}
        with transaction.atomic():
            if self._job.is_skipping_existing:
                row.instance = existing_instance(user, element, body.name or "")
            if is_new := row.instance is None:
                row.instance = create_draft(user, element, actor=self._job.actor, **arguments)
            self._begin(row, instance=row.instance, body=row.body)
        return is_new

    def _element(self, row: BulkRow, body: InstanceBody) -> Element:
        if row.element_key not in self._elements:
            self._elements[row.element_key] = element_of(body)
        return self._elements[row.element_key]

    def _put_off(self, row: BulkRow, error: InstancesError) -> None:
        """Later again: after 1 s, doubling, never before a platform asked, and not before a lost create is certain."""
        now = timezone.now()
        due_at = now + timedelta(seconds=2 ** (row.attempts - 1) * random.uniform(0.8, 1.2))  # noqa: S311
        if isinstance(error, RateLimitedError) and error.retry_after_seconds:
            due_at = max(due_at, now + timedelta(seconds=error.retry_after_seconds))
            self._resting_until[row.element_key] = due_at
        if isinstance(error, StateConflictError) and row.instance:
            unsettled = {Instance.State.UNKNOWN, Instance.State.PROVISIONING}
            if row.instance.state in unsettled:
                due_at = max(due_at, row.instance.state_changed_at + SETTLED_AFTER)
        BulkRow.objects.held_by(self._holder).filter(pk=row.pk).update(
            outcome=Outcome.PENDING, due_at=due_at, holder=None, error=str(error)
        )

    def _rest(self, row: BulkRow) -> None:
        """Leave an element alone for as long as it asked for, so that not every row has to be refused first."""
        if until := self._resting_until.get(row.element_key):
            seconds = (until - timezone.now()).total_seconds()
            self._stopping.wait(min(max(seconds, 0), MAX_REST_SECONDS))

    def _give_back(self, rows: list[BulkRow]) -> None:
        BulkRow.objects.held_by(self._holder).filter(pk__in=[row.pk for row in rows]).update(
            outcome=Outcome.PENDING,
            due_at=timezone.now(),
            holder=None,
            attempts=F("attempts") - 1,
        )

    def _end(self, row: BulkRow, outcome: str, error: str = "") -> None:
        # What failed may be tried again, and needs what it has not given to its instance yet.
        kept = {} if outcome == Outcome.FAILED else {"body": ""}
        ended = BulkRow.objects.held_by(self._holder).filter(pk=row.pk)
        if ended.update(outcome=outcome, error=error, due_at=None, holder=None, **kept) == 1:
            row.outcome, row.error = outcome, error
            self._ended.put(row)
