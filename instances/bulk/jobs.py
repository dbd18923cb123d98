"""Bulk jobs: start, pause, resume and cancel them, and measure progress."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q

from instances.errors import StateConflictError
from instances.models import BulkFilePart, BulkJob, BulkRow, Instance
from instances.queries.database_clock import database_now

MAX_CONCURRENCY = 200
# A dry run, or the reading of a file, that shows no sign of life for this long is enqueued again.
ADOPT_AFTER = timedelta(seconds=60)
# A dry run that crashed its worker this often is not enqueued again.
MAX_DRY_RUNS = 8
_INSERT_ROWS = 500

State = BulkJob.State
Outcome = BulkRow.Outcome


def start_bulk_job(job: BulkJob) -> BulkJob:
    """Set a draft job running. Raises StateConflictError."""
    now = database_now()
    return move_job(job, State.RUNNING, expect={State.DRAFT}, started_at=now, resumed_at=now)


def forget_dry_run(job: BulkJob) -> BulkJob:
    """Discard the result of the last dry run, so that another one can start.

    Raises StateConflictError.
    """
    return move_job(job, State.DRAFT, expect={State.DRAFT}, checked_at=None, dry_runs_begun=0)


def pause_bulk_job(job: BulkJob) -> BulkJob:
    """Pause a running job: rows in progress finish, no new rows start.

    Raises StateConflictError.
    """
    return move_job(job, State.PAUSED, expect={State.RUNNING})


def resume_bulk_job(job: BulkJob) -> BulkJob:
    """Resume a paused job. Raises StateConflictError."""
    return move_job(job, State.RUNNING, expect={State.PAUSED}, **_resumed(job))


def cancel_bulk_job(job: BulkJob) -> BulkJob:
    """Cancel a job: waiting rows will not start, and their secrets are removed.

    Raises StateConflictError.
    """
    unfinished = {State.READING, State.DRAFT, State.RUNNING, State.PAUSED}
    cancelled = move_job(job, State.CANCELLED, expect=unfinished, finished_at=database_now())
    _clear(job)
    return cancelled


def allow_duplicates(job: BulkJob) -> BulkJob:
    """Confirm that rows may double others and existing instances, and discard the result of the last dry run.

    Raises StateConflictError.
    """
    columns = {"is_allowing_duplicates": True, "checked_at": None, "dry_runs_begun": 0}
    return move_job(job, State.DRAFT, expect={State.DRAFT}, **columns)


def delete_bulk_job(job: BulkJob) -> None:
    """Delete a job and its rows.

    Raises StateConflictError while workers still process rows of it.
    """
    if job.rows.filter(outcome=Outcome.RUNNING, due_at__gt=database_now()).exists():
        raise StateConflictError(
            f"Rows of bulk job {job.pk} are still in progress. Delete it in a minute."
        )
    job.delete()


def retry_failures(job: BulkJob) -> BulkJob:
    """Run only the failed rows of a finished job again. Raises StateConflictError.

    Malformed rows of the file never ran, and are not run now.
    """
    failed = job.rows.failed().filter(attempts__gt=0)
    # In one transaction: a scheduler would finish a running job without unfinished rows again.
    with transaction.atomic():
        resumed = _resumed(job, left_out=failed.count())
        moved = move_job(job, State.RUNNING, expect={State.FINISHED}, finished_at=None, **resumed)
        failed.update(
            outcome=Outcome.PENDING,
            attempts=0,
            crashes=0,
            due_at=database_now(),
            error="",
            cause="",
        )
    return moved


def finish_bulk_job(job: BulkJob) -> bool:
    """Finish a running job without unfinished rows; returns whether it did.

    Clears a job that was cancelled meanwhile.
    """
    left = BulkRow.objects.filter(job=OuterRef("pk")).unfinished()
    running = BulkJob.objects.filter(pk=job.pk, state=State.RUNNING)
    ended = running.filter(~Exists(left)).update(state=State.FINISHED, finished_at=database_now())
    job.refresh_from_db()
    if job.state == State.CANCELLED:
        _clear(job)
    return ended == 1


def record_enqueued(job: BulkJob) -> None:
    """Record that workers are asked now to check or process the job."""
    job.enqueued_at = database_now()
    BulkJob.objects.filter(pk=job.pk).update(enqueued_at=job.enqueued_at)


def is_dry_run_given_up(job: BulkJob) -> bool:
    """Whether its dry run crashed its worker too often, and is not in progress now."""
    is_unchecked = job.state == State.DRAFT and job.checked_at is None
    is_lost = job.dry_runs_begun >= MAX_DRY_RUNS
    return is_unchecked and is_lost and _is_orphan(job, at=database_now())


def recover_bulk_jobs() -> list[BulkJob]:
    """Finish and clear jobs that have ended; return those to enqueue again.

    Those are drafts whose dry run has stopped, and uploads that no process reads. Each is claimed, so that one scheduler
    enqueues it again.
    """
    now = database_now()
    left = BulkRow.objects.filter(job__state=State.CANCELLED, due_at__lte=now)
    for job in BulkJob.objects.filter(pk__in=left.values("job")):
        _clear(job)
    for job in BulkJob.objects.filter(state=State.RUNNING):
        finish_bulk_job(job)
    unchecked = Q(state=State.DRAFT, checked_at=None, dry_runs_begun__lt=MAX_DRY_RUNS)
    unread = Q(state=State.READING) & Exists(BulkFilePart.objects.filter(job=OuterRef("pk")))
    orphans = []
    for job in BulkJob.objects.filter(unchecked | unread):
        asked = BulkJob.objects.filter(pk=job.pk, enqueued_at=job.enqueued_at)
        if _is_orphan(job, at=now) and asked.update(enqueued_at=now) == 1:
            orphans.append(job)
    return orphans


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a job.

    counts: rows by outcome. rows_per_second: since it was started or resumed; 0 if unknown.
    """

    counts: dict[str, int]
    rows_per_second: float

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        return self.counts[Outcome.PENDING] + self.counts[Outcome.RUNNING]

    @property
    def ended(self) -> int:
        return self.total - self.left

    @property
    def failed(self) -> int:
        return self.counts[Outcome.FAILED]

    @property
    def percent(self) -> int:
        return 100 * self.ended // self.total if self.total else 0

    @property
    def seconds_left(self) -> int | None:
        return round(self.left / self.rows_per_second) if self.rows_per_second else None


def progress_of(job: BulkJob) -> Progress:
    """Measure a job's progress from its rows, never from a task engine."""
    return progress_of_each([job])[job]


def progress_of_each(jobs: Sequence[BulkJob]) -> dict[BulkJob, Progress]:
    """Measure the progress of several jobs with one query."""
    counts = {job.pk: dict.fromkeys(Outcome.values, 0) for job in jobs}
    rows = BulkRow.objects.filter(job__in=jobs).order_by()
    for job_id, outcome, count in rows.values_list("job", "outcome").annotate(Count("pk")):
        counts[job_id][outcome] = count
    return {job: _progress(job, counts[job.pk]) for job in jobs}


def _progress(job: BulkJob, counts: dict[str, int]) -> Progress:
    progress = Progress(counts, 0)
    if job.state != State.RUNNING or job.resumed_at is None:
        return progress
    seconds = (database_now() - job.resumed_at).total_seconds()
    return Progress(counts, max(progress.ended - job.ended_before, 0) / max(seconds, 1))


def move_job(job: BulkJob, to: str, *, expect: set[State], **columns: Any) -> BulkJob:
    """Change a job's state with an UPDATE that names the expected states.

    Raises StateConflictError.
    """
    moved = BulkJob.objects.filter(pk=job.pk, state__in=expect).update(state=to, **columns)
    job.refresh_from_db()
    if moved != 1:
        raise StateConflictError(
            f"Bulk job {job.pk} is {job.get_state_display()}, so this action is not available now."
        )
    return job


def _resumed(job: BulkJob, *, left_out: int = 0) -> dict[str, Any]:
    return {
        "resumed_at": database_now(),
        "ended_before": job.rows.filter(due_at=None).count() - left_out,
    }


def _clear(job: BulkJob) -> None:
    """Clear a cancelled job: its file, its waiting rows, their unsent drafts, and all bodies.

    Rows first: if a worker releases a row after that, its run calls this again when it ends.
    """
    job.file_parts.all().delete()
    is_free = Q(outcome=Outcome.PENDING) | Q(outcome=Outcome.RUNNING, due_at__lte=database_now())
    job.rows.filter(is_free).update(outcome=Outcome.CANCELLED, due_at=None, holder=None, body="")
    # Failed rows of a cancelled job can no longer be retried.
    job.rows.filter(outcome=Outcome.FAILED).update(body="")
    drafted = job.rows.filter(outcome=Outcome.CANCELLED, is_drafted=True)
    unsent = drafted.filter(instance__state=Instance.State.DRAFT)
    # A draft that somebody has started to authorize is kept.
    unsent = unsent.filter(instance__links=None, instance__authorizations=None)
    for batch in batched(unsent.values_list("instance", flat=True), _INSERT_ROWS):
        with transaction.atomic():
            drafts = Instance.objects.filter(pk__in=batch, state=Instance.State.DRAFT)
            locked = [draft.pk for draft in drafts.select_for_update().order_by("pk")]
            Instance.objects.filter(pk__in=locked).delete()


def _is_orphan(job: BulkJob, *, at: datetime) -> bool:
    """Whether reading its file or its dry run was enqueued, and has shown no sign of life since."""
    signs = [job.enqueued_at, *([job.reading_at] if job.state == State.READING else [])]
    return job.enqueued_at is not None and max(filter(None, signs)) <= at - ADOPT_AFTER
