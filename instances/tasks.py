"""Background tasks: each is one line that calls a verb, and is safe to run twice.

They answer a sentence rather than raise: what went wrong stands on the instance, and a task engine would keep a
traceback that nobody reads.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import transaction
from django.tasks import task

from instances.errors import ClockSkewError, InstancesError
from instances.models import BulkJob, Instance
from instances.provisioning import instances as verbs
from instances.provisioning.bulk_checks import check_bulk_job as check_rows_of
from instances.provisioning.bulk_jobs import tasks_to_enqueue
from instances.provisioning.bulk_runs import run_chunk


@task
def provision_instance(instance_id: int, actor: str) -> str:
    return _run(verbs.provision_instance, instance_id, actor=actor)


@task
def check_instance(instance_id: int, actor: str) -> str:
    return _run(verbs.check_instance, instance_id, actor=actor)


@task
def set_enabled(instance_id: int, actor: str, is_enabled: bool) -> str:
    return _run(verbs.set_enabled, instance_id, actor=actor, is_enabled=is_enabled)


@task
def delete_instance(instance_id: int, actor: str) -> str:
    return _run(verbs.delete_instance, instance_id, actor=actor)


@task
def run_bulk_chunk(job_id: int) -> str:
    job = BulkJob.objects.filter(pk=job_id).first()
    try:
        return f"{run_chunk(job)} rows." if job else "The bulk job is gone already."
    except ClockSkewError as error:
        return str(error)


@task
def check_bulk_job(job_id: int) -> str:
    job = BulkJob.objects.filter(pk=job_id).first()
    return f"{sum(1 for _ in check_rows_of(job))} rows." if job else "The bulk job is gone already."


def enqueue_bulk_job(job: BulkJob) -> None:
    """Hand a job to the workers, once this is committed: a draft for its dry run, a running one chunk by chunk.

    Raises TaskNotEnqueuedError; the scheduler then does it later.
    """
    task = check_bulk_job if job.state == BulkJob.State.DRAFT else run_bulk_chunk
    for _ in range(tasks_to_enqueue(job)):
        transaction.on_commit(partial(task.enqueue, job.pk))


def _run(verb: Callable[..., Any], instance_id: int, **arguments: Any) -> str:
    instance = Instance.objects.filter(pk=instance_id).first()
    if instance is None:
        return "The instance is gone already."
    try:
        verb(instance, **arguments)
    except InstancesError as error:
        return str(error)
    return "Done."
