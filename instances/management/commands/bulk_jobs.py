"""`manage.py bulk_jobs`: list the latest bulk jobs, show one, or cancel it."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from instances.bulk.jobs import cancel_bulk_job, progress_of
from instances.bulk.reading import is_reading_stalled
from instances.errors import StateConflictError
from instances.models import BulkJob

LISTED = 20
FAILURES_SHOWN = 20


class Command(BaseCommand):
    help = (
        "List the latest bulk jobs, or show the progress and the first failures of the one with this ID. "
        "Exit status 2: no such job, or --cancel for a job that has already ended."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", nargs="?", type=int, metavar="ID")
        parser.add_argument(
            "--cancel",
            action="store_true",
            help="cancel the job: rows that have not started will not run, and their secrets are deleted",
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, job: int | None, cancel: bool, **options: Any) -> None:
        jobs = BulkJob.objects.select_related("organization_user")
        if job is None and cancel:
            raise CommandError("--cancel needs the ID of a bulk job.", returncode=2)
        if job is None:
            documents = [_document(listed) for listed in jobs[:LISTED]]
            lines = [_line(document) for document in documents] or ["There are no bulk jobs."]
            self._write(lines, documents, is_json=options["json"])
            return
        found = jobs.filter(pk=job).first()
        if found is None:
            raise CommandError(
                f"Bulk job {job} does not exist. To list all, run: manage.py bulk_jobs",
                returncode=2,
            )
        if cancel:
            try:
                cancel_bulk_job(found)
            except StateConflictError as error:
                raise CommandError(str(error), returncode=2) from None
        failures = [
            {"row": row.number, "name": row.name, "error": row.error}
            for row in found.rows.failed()[:FAILURES_SHOWN]
        ]
        document = _document(found)
        failed_rows = [
            f"  row {row['row']}, {row['name'] or 'no name'}: {row['error']}" for row in failures
        ]
        self._write(
            [
                _line(document),
                *filter(None, [found.error]),
                *found.notes.splitlines(),
                *failed_rows,
            ],
            document | {"failures": failures},
            is_json=options["json"],
        )

    def _write(self, lines: list[str], document: Any, *, is_json: bool) -> None:
        self.stdout.write(json.dumps(document) if is_json else "\n".join(lines))


def _document(job: BulkJob) -> dict[str, Any]:
    progress = progress_of(job)
    return {
        "id": job.pk,
        "file": job.name,
        "user": job.organization_user.email,
        "state": job.state,
        "error": job.error,
        "is_stalled": is_reading_stalled(job),
        "total": progress.total,
        "ended": progress.ended,
        "failed": progress.failed,
        "counts": progress.counts,
        "rows_per_second": round(progress.rows_per_second, 1),
        "seconds_left": progress.seconds_left,
    }


def _line(document: dict[str, Any]) -> str:
    state = "stalled while reading" if document["is_stalled"] else document["state"]
    line = (
        f"{document['id']}  {state}  {document['ended']}/{document['total']} rows, "
        f"{document['failed']} failed  {document['file']}  {document['user']}"
    )
    if document["seconds_left"] is not None:
        line += f"  {document['rows_per_second']} rows/s, {document['seconds_left']} s left"
    return line
