"""`manage.py resume_bulk_job`: resume a bulk job, or retry its failed rows."""

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
        "Resume a bulk job. Rows that a killed process was working on are taken over when their lease expires. "
        "Exit status: 0 all succeeded, 1 some failed, 2 nothing to resume."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "job", nargs="?", type=int, metavar="ID", help="ID as listed by bulk_jobs"
        )
        which.add_argument(
            "--latest", action="store_true", help="the latest job that can be resumed"
        )
        parser.add_argument(
            "--retry-failures", action="store_true", help="run only the failed rows again"
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
        sentence = f"Bulk job {job_id} does not exist. To list all, run: manage.py bulk_jobs"
    else:
        states = [State.FINISHED] if is_retrying else [State.PAUSED, State.RUNNING]
        found = jobs.filter(state__in=states).first()
        sentence = "There is no bulk job to resume."
    if found is None:
        raise CommandError(sentence, returncode=2)
    return found


def _set_running(job: BulkJob, *, is_retrying: bool) -> None:
    if job.state == State.READING:
        raise StateConflictError(
            f"Bulk job {job.pk} cannot be resumed: its file is still being read, or reading was interrupted and the "
            f"rest of the file is missing. To cancel it, run: manage.py bulk_jobs {job.pk} --cancel. Then provision "
            "the file again."
        )
    if is_retrying:
        retry_failures(job)
    elif job.state == State.DRAFT:
        start_bulk_job(job)
    elif job.state != State.RUNNING:
        resume_bulk_job(job)
