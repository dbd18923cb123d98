"""`manage.py provision_instances`: every instance of a file, several at once."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from instances.bulk.commands import BulkCommand, RowResult
from instances.bulk.dry_run import check_bulk_job
from instances.bulk.files import read_rows
from instances.bulk.jobs import read_bulk_job, start_bulk_job
from instances.bulk.lines import FileRow
from instances.errors import InputError, StateConflictError
from instances.models import BulkJob, BulkRow
from instances.models.bulk_jobs import DEFAULT_CONCURRENCY
from instances.provisioning.access.organizations import find_user
from instances.taskqueue.interruption import Interruption

ACTOR = "command line"
_NOTHING_KEPT = "Interrupted while the file was being read; nothing is kept."


class Command(BulkCommand):
    help = (
        "Provision the instances of FILE: CSV (columns name, element, tags, and configuration keys), POST /instances "
        "bodies on lines of their own, a JSON list of them, or one. "
        "Exit status: 0 all done, 1 some failed, 2 bad input and nothing done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a path, or - for standard input")
        parser.add_argument(
            "--user", required=True, metavar="EMAIL", help="whose instances they become"
        )
        parser.add_argument(
            "--organization", metavar="NAME", help="where the address is in several organizations"
        )
        parser.add_argument("--element", metavar="KEY", help="for rows that name no element")
        parser.add_argument(
            "--dry-run", action="store_true", help="check every row; send and keep nothing"
        )
        parser.add_argument(
            "--skip-existing",
            action="store_true",
            help="leave alone what is there already, by name and element",
        )
        self.add_run_arguments(parser)

    def handle(self, **options: Any) -> None:
        with Interruption() as interruption:
            self._provision(interruption, **options)

    def _provision(
        self, interruption: Interruption, *, file: str, user: str, dry_run: bool, **options: Any
    ) -> None:
        try:
            organization_user = find_user(user, options["organization"] or "")
            with _opened(file) as stream:
                rows = read_rows(stream, default_element=options["element"] or "")
                job = read_bulk_job(
                    organization_user,
                    _interruptible(rows, interruption),
                    actor=ACTOR,
                    name=Path(file).name,
                    concurrency=options["concurrency"] or DEFAULT_CONCURRENCY,
                    is_skipping_existing=options["skip_existing"],
                )
        except (InputError, StateConflictError) as error:
            raise CommandError(str(error), returncode=2) from None
        except KeyboardInterrupt:
            raise CommandError(_NOTHING_KEPT) from None
        if dry_run:
            self._check(job, interruption, is_json=options["json"])
            return
        if interruption.is_requested:
            job.delete()
            raise CommandError(_NOTHING_KEPT)
        start_bulk_job(job)
        self.carry_out(
            job,
            is_json=options["json"],
            is_enqueued=options["enqueue"],
            interruption=interruption,
        )

    def _check(self, job: BulkJob, interruption: Interruption, *, is_json: bool) -> None:
        """A dry run's rows are kept, sealed, for as long as it takes."""
        try:
            total = job.rows.count()
            for number, row in enumerate(check_bulk_job(job), start=1):
                if interruption.is_requested:
                    raise CommandError("The dry run was interrupted; nothing is kept.")
                if not is_json:
                    self.tell(_verdict(row), number, total)
            failed = job.rows.exclude(verdict="").count()
            if is_json:
                rows = job.rows.iterator(chunk_size=500)
                self.print_results(total, total - failed, failed, map(_verdict, rows))
        finally:
            job.delete()
        if failed:
            raise CommandError(f"{failed} of {total} rows failed the dry run.", returncode=1)
        if not is_json:
            self.stdout.write(f"{total} of {total} could be provisioned.")


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    try:
        if file == "-":
            yield sys.stdin.buffer
            return
        with Path(file).open("rb") as stream:
            yield stream
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from None


def _interruptible(rows: Iterable[FileRow], interruption: Interruption) -> Iterator[FileRow]:
    """The same rows. An interrupt is raised while the next one is read, never while some are stored."""
    each = iter(rows)
    while True:
        with interruption.is_immediate():
            try:
                row = next(each)
            except StopIteration:
                return
        yield row


def _verdict(row: BulkRow) -> RowResult:
    return {"name": row.name, "state": None, "id": None, "error": row.verdict}
