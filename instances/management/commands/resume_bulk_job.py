"""`manage.py resume_bulk_job`: go on with a bulk job that was paused, stopped or killed, or retry what failed in it."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from instances.bulk.commands import BulkCommand
from instances.bulk.jobs import resume_bulk_job, retry_failures, start_bulk_job
from instances.errors import StateConflictError
from instances.models import BulkJob
from instances.taskqueue.interruption import Interruption

State = BulkJob.State


class Command(BulkCommand):
    help = (
        "Go on with a bulk job. Rows that a killed process was at are taken over when their lease has run out. "
        "Exit status: 0 all done, 1 some failed, 2 there is nothing to go on with."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("job", nargs="?", type=int, metavar="ID", help="as bulk_jobs lists it")
        which.add_argument("--latest", action="store_true", help="the latest that can be resumed")
        parser.add_argument(
            "--retry-failures", action="store_true", help="run the rows that failed once more"
        )
        self.add_run_arguments(parser)

    def handle(self, **options: Any) -> None:
        with Interruption() as interruption:
            self._resume(interruption, **options)

    def _resume(
        self, interruption: Interruption, *, job: int | None, retry_failures: bool, **options: Any
    ) -> None:
        found = _find(job, is_retrying=retry_failures)
        if options["concurrency"]:
            found.concurrency = options["concurrency"]
            found.save(update_fields=["concurrency"])
        try:
            _set_running(found, is_retrying=retry_failures)
        except StateConflictError as error:
            raise CommandError(str(error), returncode=2) from None
        self.carry_out(
            found,
            is_json=options["json"],
            is_enqueued=options["enqueue"],
            interruption=interruption,
        )


def _find(job_id: int | None, *, is_retrying: bool) -> BulkJob:
    jobs = BulkJob.objects.select_related("organization_user__organization")
    if job_id is not None:
        found = jobs.filter(pk=job_id).first()
        sentence = f"There is no bulk job {job_id}; bulk_jobs lists them."
    else:
        states = [State.FINISHED] if is_retrying else [State.PAUSED, State.RUNNING]
        found = jobs.filter(state__in=states).first()
        sentence = "There is no bulk job to go on with."
    if found is None:
        raise CommandError(sentence, returncode=2)
    return found


def _set_running(job: BulkJob, *, is_retrying: bool) -> None:
    if job.state == State.READING:
        raise StateConflictError(
            f"Bulk job {job.pk} is being read, or the command that read its file has ended: the rest of the file is "
            f"missing, so it cannot be resumed. Remove it: manage.py bulk_jobs {job.pk} --cancel. Then provision the "
            "file again."
        )
    if is_retrying:
        retry_failures(job)
    elif job.state == State.DRAFT:
        start_bulk_job(job)
    elif job.state != State.RUNNING:
        resume_bulk_job(job)
