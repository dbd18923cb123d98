"""Background tasks of bulk jobs."""

from collections.abc import Callable
from functools import partial

import structlog
from django.conf import settings
from django.db import transaction
from django.tasks import task

from instances.bulk.chunks import due_chunks, next_in_line
from instances.bulk.dry_run import check_bulk_job as check_rows_of
from instances.bulk.jobs import finish_bulk_job, record_enqueued, recover_bulk_jobs
from instances.bulk.reading import read_stored_file
from instances.bulk.running.runner import run_chunk
from instances.errors import ClockSkewError, TaskNotEnqueuedError
from instances.models import BulkJob
from instances.queries.outages import wait_for_database
from instances.taskqueue.waiting import count_waiting
from instances.tasks import with_right_clock

# Actions on single instances come first.
PRIORITY = -10
# Chunks that wait in the queue, of all jobs together. A worker that takes one asks for another, so this need not grow
# with the number of rows, jobs or workers.
MAX_WAITING = 4
# Where a task runs inside the call that enqueues it, all are enqueued at once.
_ALL = 1_000_000

log = structlog.stdlib.get_logger(__name__)


@task(priority=PRIORITY)
def run_bulk_chunk(job_id: int) -> str:
    """Process a chunk of the job whose turn it is: not always the one that the task was enqueued for."""
    try:
        return wait_for_database(lambda: with_right_clock(partial(_serve, job_id)))
    except ClockSkewError as error:
        return str(error)


@task(priority=PRIORITY)
def check_bulk_job(job_id: int) -> str:
    return wait_for_database(
        lambda: _of_job(job_id, lambda job: sum(1 for _ in check_rows_of(job)))
    )


@task(priority=PRIORITY)
def read_bulk_file(job_id: int) -> str:
    return wait_for_database(lambda: _of_job(job_id, _read))


def enqueue_bulk_job(job: BulkJob) -> None:
    """Enqueue the reading of an uploaded file, a draft's dry run, or a running job's chunks, on commit.

    Raises TaskNotEnqueuedError; the scheduler then enqueues it later.
    """
    record_enqueued(job)
    if job.state == BulkJob.State.READING:
        transaction.on_commit(partial(read_bulk_file.enqueue, job.pk))
    elif job.state == BulkJob.State.DRAFT:
        transaction.on_commit(partial(check_bulk_job.enqueue, job.pk))
    elif not finish_bulk_job(job):
        transaction.on_commit(_request_chunks)


def recover_and_enqueue() -> bool:
    """Finish jobs that have ended, and enqueue what no worker has been asked for.

    This includes the work of workers that were killed. Returns False: nothing more is due right now.
    """
    try:
        for job in recover_bulk_jobs():
            enqueue_bulk_job(job)
        _request_chunks()
    except TaskNotEnqueuedError as error:
        log.warning("scheduler cannot enqueue bulk jobs", error=str(error))
    return False


def _serve(job_id: int) -> str:
    job = next_in_line() or BulkJob.objects.filter(pk=job_id, enqueued_at=None).first()
    if job is None:
        return "No bulk job has rows that are due."
    # For another worker, if one is free. The first chunk is this worker's.
    _request_next_chunks(taken=1)
    ended = run_chunk(job)
    _request_next_chunks()
    return f"{ended} rows."


def _request_next_chunks(*, taken: int = 0) -> None:
    if settings.TASKS_BACKEND == "immediate":
        return
    try:
        _request_chunks(taken=taken)
    except TaskNotEnqueuedError as error:
        log.warning("worker cannot enqueue the next chunk", error=str(error))


def _request_chunks(*, taken: int = 0) -> None:
    """Enqueue chunks, as many as there are due rows for, and at most MAX_WAITING.

    taken: chunks that a worker is about to process. Raises TaskNotEnqueuedError.
    """
    limit = _ALL if settings.TASKS_BACKEND == "immediate" else MAX_WAITING
    if jobs := due_chunks(limit=limit + taken)[taken:]:
        for job_id in jobs[count_waiting(run_bulk_chunk) :]:
            run_bulk_chunk.enqueue(job_id)


def _read(job: BulkJob) -> int:
    """Read an uploaded file, and enqueue the dry run of its rows."""
    count = read_stored_file(job)
    if count:
        try:
            enqueue_bulk_job(job)
        except TaskNotEnqueuedError as error:
            log.warning("worker cannot enqueue the dry run", job=job.pk, error=str(error))
    return count


def _of_job(job_id: int, work: Callable[[BulkJob], int]) -> str:
    job = BulkJob.objects.filter(pk=job_id).first()
    return f"{work(job)} rows." if job else "The bulk job no longer exists."
