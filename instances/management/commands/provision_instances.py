"""`manage.py provision_instances`: provision the instances of a file."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from instances.bulk.commands import BulkCommand, RowResult
from instances.bulk.dry_run import check_bulk_job
from instances.bulk.files.formats import read_rows
from instances.bulk.files.lines import WINDOWS_1252, FileRow
from instances.bulk.jobs import start_bulk_job
from instances.bulk.reading import read_bulk_job
from instances.errors import InputError, StateConflictError
from instances.models import BulkJob, BulkRow
from instances.models.bulk_jobs import DEFAULT_CONCURRENCY
from instances.provisioning.access.organizations import find_user
from instances.taskqueue.interruption import Interruption

ACTOR = "command line"
_NOTHING_KEPT = "Interrupted while the file was being read. Nothing was saved."


class Command(BulkCommand):
    help = (
        "Provision the instances of FILE: CSV or .xlsx (columns name, element, tags and configuration keys), or POST /instances "
        "bodies as JSON Lines, as a JSON list, or a single one. "
        "Exit status: 0 all succeeded, 1 some failed, 2 bad input, nothing was done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a path, or - for standard input")
        parser.add_argument("--user", required=True, metavar="EMAIL", help="owner of the instances")
        parser.add_argument(
            "--organization",
            metavar="NAME",
            help="needed if the address belongs to several organizations",
        )
        parser.add_argument(
            "--element", metavar="KEY", help="used for rows that do not name an element"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="check every row; send and save nothing"
        )
        duplicates = parser.add_mutually_exclusive_group()
        duplicates.add_argument(
            "--skip-existing",
            action="store_true",
            help="skip rows with the same name and element as an existing instance or an earlier row",
        )
        duplicates.add_argument(
            "--allow-duplicates",
            action="store_true",
            help="create an instance for such rows too; without either option, they fail",
        )
        parser.add_argument(
            "--encoding",
            choices=[WINDOWS_1252],
            default="",
            help="of a text file that is neither UTF-8 nor UTF-16; ISO-8859-1 is part of windows-1252",
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
                rows = read_rows(
                    stream,
                    default_element=options["element"] or "",
                    encoding=options["encoding"],
                    on_note=self.stderr.write,
                )
                job = read_bulk_job(
                    organization_user,
                    _interruptible(rows, interruption),
                    actor=ACTOR,
                    name=Path(file).name,
                    concurrency=options["concurrency"] or DEFAULT_CONCURRENCY,
                    is_skipping_existing=options["skip_existing"],
                    is_allowing_duplicates=options["allow_duplicates"],
                    on_note=self.stderr.write,
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
        """Print the verdict of each row.

        The rows are stored, sealed, only until the dry run ends.
        """
        try:
            total, skipped = job.rows.count(), 0
            for number, row in enumerate(check_bulk_job(job), start=1):
                if interruption.is_requested:
                    raise CommandError("The dry run was interrupted. Nothing was saved.")
                skipped += row.is_skipped
                if not is_json:
                    self.tell(_verdict(row), number, total, is_skipped=row.is_skipped)
            failed = job.rows.exclude(verdict="").count()
            if is_json:
                rows = job.rows.iterator(chunk_size=500)
                self.print_results(total, total - failed, failed, map(_verdict, rows))
        finally:
            job.delete()
        if failed:
            raise CommandError(f"{failed} of {total} rows failed the dry run.", returncode=1)
        if not is_json:
            ready = f"{total - skipped} of {total} rows are ready to provision."
            self.stdout.write(f"{ready} {skipped} will be skipped." if skipped else ready)


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
    """Yield the same rows.

    An interrupt is raised while reading the next row, never while rows are being stored.
    """
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
