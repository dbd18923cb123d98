"""Background tasks of bulk jobs."""

from collections.abc import Callable
from functools import partial

import structlog
from django.db import transaction
from django.tasks import task

from instances.bulk.dry_run import check_bulk_job as check_rows_of
from instances.bulk.jobs import recover_bulk_jobs, tasks_to_enqueue
from instances.bulk.runner import run_chunk
from instances.errors import ClockSkewError, TaskNotEnqueuedError
from instances.models import BulkJob
from instances.queries.outages import wait_for_database
from instances.tasks import with_right_clock

log = structlog.stdlib.get_logger(__name__)


@task
def run_bulk_chunk(job_id: int) -> str:
    try:
        return wait_for_database(lambda: with_right_clock(partial(_of_job, job_id, run_chunk)))
    except ClockSkewError as error:
        return str(error)


@task
def check_bulk_job(job_id: int) -> str:
    return wait_for_database(
        lambda: _of_job(job_id, lambda job: sum(1 for _ in check_rows_of(job)))
    )


def enqueue_bulk_job(job: BulkJob) -> None:
    """Enqueue a draft's dry run or a running job's chunks, on commit.

    Raises TaskNotEnqueuedError; the scheduler then enqueues it later.
    """
    task = check_bulk_job if job.state == BulkJob.State.DRAFT else run_bulk_chunk
    for _ in range(tasks_to_enqueue(job)):
        transaction.on_commit(partial(task.enqueue, job.pk))


def recover_and_enqueue() -> bool:
    """Recover bulk jobs whose workers are gone, and enqueue them again.

    Returns False: nothing more is due right now.
    """
    for job in recover_bulk_jobs():
        try:
            enqueue_bulk_job(job)
        except TaskNotEnqueuedError as error:
            log.warning("scheduler cannot enqueue bulk job", job=job.pk, error=str(error))
    return False


def _of_job(job_id: int, work: Callable[[BulkJob], int]) -> str:
    job = BulkJob.objects.filter(pk=job_id).first()
    return f"{work(job)} rows." if job else "The bulk job no longer exists."
