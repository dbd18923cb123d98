"""Base of commands that run bulk jobs: print rows and totals, pause on Ctrl-C."""

import json
import logging
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from contextlib import closing, suppress
from time import monotonic
from typing import Any, NoReturn, TypedDict

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from instances.bulk.jobs import MAX_CONCURRENCY, Progress, pause_bulk_job, progress_of
from instances.bulk.running.runner import run_bulk_job
from instances.bulk.tasks import enqueue_bulk_job
from instances.errors import ClockSkewError, StateConflictError, TaskNotEnqueuedError
from instances.models import BulkJob, BulkRow
from instances.taskqueue.interruption import Interruption

ALREADY_EXISTS = (
    "an instance with this name and element already exists, or is created by an earlier row"
)
BAR_CHARACTERS = 30
BAR_EVERY_SECONDS = 1.0

Outcome = BulkRow.Outcome


class RowResult(TypedDict):
    """One row of the JSON object that --json prints.

    state: the instance's; null in a dry run.
    """

    name: str
    state: str | None
    id: int | None
    error: str


class BulkCommand(BaseCommand):
    """Exit status 0: all succeeded, 1: some failed, 2: bad input, nothing was done."""

    requires_migrations_checks = True
    _bar_at = 0.0

    def add_run_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--concurrency", type=_concurrency, metavar="N", help="rows to process at once"
        )
        parser.add_argument(
            "--enqueue", action="store_true", help="let the workers run the job, and exit"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def run_from_argv(self, argv: list[str]) -> None:
        """Log only warnings: every row is printed anyway."""
        logging.getLogger("instances").setLevel(logging.WARNING)
        super().run_from_argv(argv)

    def get_check_kwargs(self, options: dict[str, Any]) -> dict[Any, Any]:
        """Refuse to write without usable keys, and warn about unreadable secrets."""
        return {"databases": [DEFAULT_DB_ALIAS]}

    def carry_out(
        self, job: BulkJob, *, is_json: bool, is_enqueued: bool, interruption: Interruption
    ) -> None:
        """Process the rows of a running job here, or enqueue it for the workers.

        An interrupt pauses the job.

        Raises CommandError if rows failed or the job was interrupted.
        """
        if is_enqueued:
            try:
                enqueue_bulk_job(job)
            except TaskNotEnqueuedError as error:
                raise CommandError(
                    f"{error} Bulk job {job.pk} is saved; the scheduler will enqueue it within two minutes."
                ) from None
            self._say(
                f"Bulk job {job.pk} was enqueued. To see its progress, run: manage.py bulk_jobs {job.pk}",
                {"job": job.pk},
                is_json=is_json,
            )
            return
        progress = progress_of(job)
        ended = progress.ended
        run = run_bulk_job(job, is_interrupted=lambda: interruption.is_requested)
        try:
            with closing(run) as rows:
                for row in rows:
                    ended += 1
                    if not is_json:
                        self._tell_of(row, ended, progress.total, job)
        except KeyboardInterrupt:
            self._pause(job)
        except ClockSkewError as error:
            raise CommandError(f"{error} {_how_to_go_on(job)}") from None
        if interruption.is_requested and job.state == BulkJob.State.RUNNING:
            self._pause(job)
        self._sum_up(job, is_json=is_json)

    def tell(self, result: RowResult, number: int, total: int, *, is_skipped: bool = False) -> None:
        outcome = result["error"] or result["state"] or "ready to provision"
        if is_skipped:
            outcome = f"skipped: {ALREADY_EXISTS}"
        self.stdout.write(f"[{number}/{total}] {result['name'] or 'no name'}: {outcome}")
        self.stdout.flush()

    def print_results(
        self, total: int, succeeded: int, failed: int, results: Iterable[RowResult]
    ) -> None:
        """Print one JSON object, with only one row in memory at a time."""
        totals = {"total": total, "succeeded": succeeded, "failed": failed}
        self.stdout.write(json.dumps(totals)[:-1] + ', "rows": [', ending="")
        for number, result in enumerate(results):
            self.stdout.write((", " if number else "") + json.dumps(result), ending="")
        self.stdout.write("]}")

    def _pause(self, job: BulkJob) -> NoReturn:
        try:
            # Another process may have finished or cancelled it in the meantime.
            with suppress(StateConflictError):
                pause_bulk_job(job)
            raise CommandError(_how_to_go_on(job)) from None
        except DatabaseError:
            raise CommandError(
                f"Bulk job {job.pk} was interrupted while the database was unavailable. Once it is back, run: "
                f"manage.py resume_bulk_job {job.pk}"
            ) from None

    def _say(self, sentence: str, document: dict[str, Any], *, is_json: bool) -> None:
        self.stdout.write(json.dumps(document) if is_json else sentence)

    def _tell_of(self, row: BulkRow, number: int, total: int, job: BulkJob) -> None:
        if not self.stdout.isatty():
            is_skipped = row.outcome == Outcome.SKIPPED
            self.tell(_result(row), number, total, is_skipped=is_skipped)
            return
        clear_line = "\r\x1b[K"
        if row.error:
            self.stdout.write(f"{clear_line}{row.name or 'no name'}: {row.error}")
        # Not after every row: counting a hundred thousand rows takes a while.
        if number == total or monotonic() > self._bar_at:
            self.stdout.write(clear_line + _bar(progress_of(job)), ending="")
            self.stdout.flush()
            self._bar_at = monotonic() + BAR_EVERY_SECONDS

    def _sum_up(self, job: BulkJob, *, is_json: bool) -> None:
        progress = progress_of(job)
        counts = progress.counts
        succeeded = (
            counts[Outcome.SUCCEEDED]
            + counts[Outcome.AWAITING_AUTHORIZATION]
            + counts[Outcome.SKIPPED]
        )
        if self.stdout.isatty():
            self.stdout.write("")
        if is_json:
            rows = job.rows.select_related("instance").iterator(chunk_size=500)
            self.print_results(progress.total, succeeded, progress.failed, map(_result, rows))
        if job.state != BulkJob.State.FINISHED:
            raise CommandError(_how_to_go_on(job))
        if progress.failed:
            raise CommandError(
                f"{progress.failed} of {progress.total} rows failed. To retry only these, run: "
                f"manage.py resume_bulk_job {job.pk} --retry-failures",
                returncode=1,
            )
        if not is_json:
            self.stdout.write(_sum_of(progress))


def _concurrency(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_CONCURRENCY:
        raise ArgumentTypeError(f"enter a number from 1 to {MAX_CONCURRENCY}")
    return int(text)


def _how_to_go_on(job: BulkJob) -> str:
    """Describe a job that did not finish here, and how to resume it."""
    progress = progress_of(job)
    state = f"Bulk job {job.pk} is {job.get_state_display()} after {progress.ended} of {progress.total} rows."
    if job.state == BulkJob.State.CANCELLED:
        return state
    return f"{state} To resume it, run: manage.py resume_bulk_job {job.pk}"


def _sum_of(progress: Progress) -> str:
    words = [f"{progress.counts[Outcome.SUCCEEDED]} of {progress.total} provisioned"]
    if waiting := progress.counts[Outcome.AWAITING_AUTHORIZATION]:
        words.append(f"{waiting} awaiting authorization")
    if skipped := progress.counts[Outcome.SKIPPED]:
        words.append(f"{skipped} skipped because they already exist")
    return ", ".join(words) + "."


def _bar(progress: Progress) -> str:
    done = "#" * (BAR_CHARACTERS * progress.percent // 100)
    left = progress.seconds_left
    return (
        f"[{done:<{BAR_CHARACTERS}}] {progress.ended}/{progress.total}, {progress.failed} failed, "
        f"{progress.rows_per_second:.1f} rows/s" + ("" if left is None else f", {left} s left")
    )


def _result(row: BulkRow) -> RowResult:
    instance = row.instance
    return {
        "name": instance.name if instance else row.name,
        "state": instance.state if instance else row.outcome,
        "id": instance.pk if instance else None,
        "error": row.error,
    }
