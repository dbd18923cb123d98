"""Bulk jobs: read from a file, started, paused, resumed, cancelled, and how far they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q

from instances.bulk.files import MAX_ERRORS_TOLD, file_error
from instances.bulk.lines import FileRow
from instances.errors import StateConflictError
from instances.models import BulkJob, BulkRow, Instance, OrganizationUser
from instances.models.bulk_jobs import DEFAULT_CONCURRENCY
from instances.queries.database_clock import database_now

# One task works off so many rows, then ends.
CHUNK_ROWS = 200
MAX_CONCURRENCY = 200
# Rows that are due, and that no worker turned to for so long, are given out again.
ADOPT_AFTER = timedelta(seconds=60)
# Whoever reads a file has ended, or waits for it, when no rows came in for so long.
READING_STALLED_AFTER = timedelta(minutes=2)
# A dry run that was lost with its worker so often is not asked for again.
MAX_DRY_RUNS = 8
_INSERT_ROWS = 500

State = BulkJob.State
Outcome = BulkRow.Outcome


def read_bulk_job(
    organization_user: OrganizationUser,
    rows: Iterable[FileRow],
    *,
    actor: str,
    name: str = "",
    concurrency: int = DEFAULT_CONCURRENCY,
    is_skipping_existing: bool = False,
    is_keeping_wrong_rows: bool = False,
) -> BulkJob:
    """A draft job with the rows of a file, sealed as they are read; nothing is sent.

    Wrong rows are kept as failed ones, or else make it raise InputError with all of them, and nothing is kept.
    Raises InputError, too, where the file cannot be read on, and StateConflictError when it is cancelled meanwhile.
    """
    job = BulkJob.objects.create(
        organization_user=organization_user,
        actor=actor,
        name=name[:200],
        concurrency=concurrency,
        is_skipping_existing=is_skipping_existing,
        reading_at=database_now(),
    )
    try:
        errors, count = _store(job, rows)
        if errors and not is_keeping_wrong_rows:
            raise file_error(errors, count)
    except BaseException:
        # One that was cancelled stays, for whoever cancelled it.
        BulkJob.objects.filter(pk=job.pk, state=State.READING).delete()
        raise
    return _move(job, State.DRAFT, expect={State.READING})


def start_bulk_job(job: BulkJob) -> BulkJob:
    """Let its rows be worked on. Raises StateConflictError."""
    now = database_now()
    return _move(job, State.RUNNING, expect={State.DRAFT}, started_at=now, resumed_at=now)


def forget_dry_run(job: BulkJob) -> BulkJob:
    """What the last one found holds no more, and the next one may begin. Raises StateConflictError."""
    return _move(job, State.DRAFT, expect={State.DRAFT}, checked_at=None, dry_runs_begun=0)


def pause_bulk_job(job: BulkJob) -> BulkJob:
    """Rows that were begun are brought to their end; no other one is. Raises StateConflictError."""
    return _move(job, State.PAUSED, expect={State.RUNNING})


def resume_bulk_job(job: BulkJob) -> BulkJob:
    """Go on where it was paused. Raises StateConflictError."""
    return _move(job, State.RUNNING, expect={State.PAUSED}, **_resumed(job))


def cancel_bulk_job(job: BulkJob) -> BulkJob:
    """End it: what was not begun never will be, and its secrets are removed. Raises StateConflictError."""
    unfinished = {State.READING, State.DRAFT, State.RUNNING, State.PAUSED}
    cancelled = _move(job, State.CANCELLED, expect=unfinished, finished_at=database_now())
    _clear(job)
    return cancelled


def delete_bulk_job(job: BulkJob) -> None:
    """Forget a job that has ended, and its rows. Raises StateConflictError while workers end what they had begun."""
    if job.rows.filter(outcome=Outcome.RUNNING, due_at__gt=database_now()).exists():
        raise StateConflictError(
            f"Rows of bulk job {job.pk} are still in progress. Delete it in a minute."
        )
    job.delete()


def retry_failures(job: BulkJob) -> BulkJob:
    """Run the rows of a finished job that failed, and only these, once more. Raises StateConflictError.

    Those that were no body to begin with never ran, and do not now.
    """
    failed = job.rows.failed().filter(attempts__gt=0)
    # At once: a running job without rows that are left would be finished again by a scheduler.
    with transaction.atomic():
        resumed = _resumed(job, left_out=failed.count())
        moved = _move(job, State.RUNNING, expect={State.FINISHED}, finished_at=None, **resumed)
        failed.update(outcome=Outcome.PENDING, attempts=0, due_at=database_now(), error="")
    return moved


def finish_bulk_job(job: BulkJob) -> bool:
    """Mark a running job whose rows have all ended as finished; whether it was one. A cancelled one is cleared up."""
    left = BulkRow.objects.filter(job=OuterRef("pk")).unfinished()
    running = BulkJob.objects.filter(pk=job.pk, state=State.RUNNING)
    ended = running.filter(~Exists(left)).update(state=State.FINISHED, finished_at=database_now())
    job.refresh_from_db()
    if job.state == State.CANCELLED:
        _clear(job)
    return ended == 1


def tasks_to_enqueue(job: BulkJob) -> int:
    """How many tasks it needs: one for a dry run, one for CHUNK_ROWS rows of a running job, at least one to finish it.

    Notes that workers were asked now.
    """
    now = database_now()
    BulkJob.objects.filter(pk=job.pk).update(enqueued_at=now)
    job.enqueued_at = now
    if job.state == State.DRAFT:
        return 1
    return max(-(-job.rows.unfinished().count() // CHUNK_ROWS), 1)


def is_reading_stalled(job: BulkJob) -> bool:
    """Whether its file is not read on: the command or the upload that did so was killed, or waits for its input."""
    last = job.reading_at or job.created_at
    return job.state == State.READING and last < database_now() - READING_STALLED_AFTER


def is_dry_run_given_up(job: BulkJob) -> bool:
    """Whether its workers ended MAX_DRY_RUNS times while they were at it, and nobody is at it now."""
    is_unchecked = job.state == State.DRAFT and job.checked_at is None
    is_lost = job.dry_runs_begun >= MAX_DRY_RUNS
    return is_unchecked and is_lost and _is_orphan(job, at=database_now())


def recover_bulk_jobs() -> list[BulkJob]:
    """Finish jobs with nothing left, and clear up cancelled ones; the jobs whose workers are gone, claimed.

    Those are running ones whose rows are due while nobody is at any of them, and drafts whose dry run does not go on.
    What runs in a command alone is left to it.
    """
    now = database_now()
    left = BulkRow.objects.filter(job__state=State.CANCELLED, due_at__lte=now)
    for job in BulkJob.objects.filter(pk__in=left.values("job")):
        _clear(job)
    unchecked = Q(state=State.DRAFT, checked_at=None, dry_runs_begun__lt=MAX_DRY_RUNS)
    orphans = []
    for job in BulkJob.objects.filter(Q(state=State.RUNNING) | unchecked):
        if not finish_bulk_job(job) and _is_orphan(job, at=now):
            asked = BulkJob.objects.filter(pk=job.pk, enqueued_at=job.enqueued_at)
            if asked.update(enqueued_at=now) == 1:
                orphans.append(job)
    return orphans


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. rows_per_second: since it was started or resumed; 0 where nothing is to be said."""

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
    """Read from the rows, never from a task engine."""
    return progress_of_each([job])[job]


def progress_of_each(jobs: Sequence[BulkJob]) -> dict[BulkJob, Progress]:
    """How far each of these jobs is, by one query."""
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


def _store(job: BulkJob, rows: Iterable[FileRow]) -> tuple[list[str], int]:
    """The first errors among the rows, and how many there are."""
    errors: list[str] = []
    count = 0
    for batch in batched(rows, _INSERT_ROWS):
        _insert(job, batch)
        wrong = [row.error for row in batch if row.error]
        count += len(wrong)
        errors += wrong[: MAX_ERRORS_TOLD - len(errors)]
    return errors, count


def _insert(job: BulkJob, rows: Sequence[FileRow]) -> None:
    """Under the job's row lock, so that whoever cancels it finds either these rows, or nobody who adds any."""
    sealed = [_row_of(job, row) for row in rows]
    reading = BulkJob.objects.filter(pk=job.pk, state=State.READING)
    with transaction.atomic():
        if reading.update(reading_at=database_now()) != 1:
            raise StateConflictError(
                f"Bulk job {job.pk} was cancelled while its file was being read; nothing was started."
            )
        BulkRow.objects.bulk_create(sealed)


def _row_of(job: BulkJob, read: FileRow) -> BulkRow:
    element = read.body.get("element") or {}
    row = BulkRow(
        job=job,
        number=read.number,
        # PostgreSQL stores no NUL.
        name=str(read.body.get("name") or "").replace("\x00", "")[:200],
        element_key=str(element.get("key") or element.get("id") or "").replace("\x00", "")[:100],
        outcome=Outcome.FAILED if read.error else Outcome.PENDING,
        error=read.error,
        due_at=None if read.error else database_now(),
    )
    row.body = read.body
    return row


def _move(job: BulkJob, to: str, *, expect: set[State], **columns: Any) -> BulkJob:
    """Change a job's state by an UPDATE that names the states it expects."""
    moved = BulkJob.objects.filter(pk=job.pk, state__in=expect).update(state=to, **columns)
    job.refresh_from_db()
    if moved != 1:
        raise StateConflictError(
            f"Bulk job {job.pk} is {job.get_state_display()}, so this cannot be done now."
        )
    return job


def _resumed(job: BulkJob, *, left_out: int = 0) -> dict[str, Any]:
    return {
        "resumed_at": database_now(),
        "ended_before": job.rows.filter(due_at=None).count() - left_out,
    }


def _clear(job: BulkJob) -> None:
    """Remove from a cancelled job what was never sent: rows that nobody works on, their drafts, and all bodies.

    Rows first: what a worker gives back meanwhile is then found by its own run, which calls this at its end.
    """
    is_free = Q(outcome=Outcome.PENDING) | Q(outcome=Outcome.RUNNING, due_at__lte=database_now())
    job.rows.filter(is_free).update(outcome=Outcome.CANCELLED, due_at=None, holder=None, body="")
    # Nobody can retry them any more.
    job.rows.filter(outcome=Outcome.FAILED).update(body="")
    drafted = job.rows.filter(outcome=Outcome.CANCELLED, is_drafted=True)
    unsent = drafted.filter(instance__state=Instance.State.DRAFT)
    # What somebody has taken up since is theirs.
    unsent = unsent.filter(instance__links=None, instance__authorizations=None)
    for batch in batched(unsent.values_list("instance", flat=True), _INSERT_ROWS):
        with transaction.atomic():
            drafts = Instance.objects.filter(pk__in=batch, state=Instance.State.DRAFT)
            locked = [draft.pk for draft in drafts.select_for_update().order_by("pk")]
            Instance.objects.filter(pk__in=locked).delete()


def _is_orphan(job: BulkJob, *, at: datetime) -> bool:
    if job.enqueued_at is None or job.enqueued_at > at - ADOPT_AFTER:
        return False
    if job.state == State.DRAFT:
        return True
    is_worked_on = job.rows.filter(outcome=Outcome.RUNNING, due_at__gt=at).exists()
    return not is_worked_on and job.rows.filter(due_at__lte=at).exists()
