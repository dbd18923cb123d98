"""Which bulk job a worker serves next, and how many more workers have something to do.

The rows say both. A task in the queue only wakes a worker: whichever job asked for it, the worker serves the job whose
turn it is. So jobs share the workers however many rows each has, and a cancelled one leaves nothing behind.
"""

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from instances.models import BulkJob, BulkRow
from instances.models.bulk_jobs import BulkJobQuerySet
from instances.queries.database_clock import database_now

# Rows that one task processes.
CHUNK_ROWS = 200


def next_in_line() -> BulkJob | None:
    """Return the job with due rows that the fewest workers work on, or that was served the longest ago.

    Records that it is served now. A job that runs in a command, and was never enqueued, is left to it.
    """
    now = database_now()
    leased = BulkRow.objects.filter(job=OuterRef("pk"), outcome="running", due_at__gt=now)
    workers = leased.order_by().values("job").annotate(n=Count("holder", distinct=True))
    jobs = _with_due_rows(at=now).annotate(workers=Coalesce(Subquery(workers.values("n")), 0))
    job = jobs.order_by("workers", F("served_at").asc(nulls_first=True), "pk").first()
    if job:
        BulkJob.objects.filter(pk=job.pk).update(served_at=now)
    return job


def due_chunks(*, limit: int) -> list[int]:
    """Return the id of a job for each chunk of its due rows, up to the limit."""
    now = database_now()
    chunks: list[int] = []
    for job in _with_due_rows(at=now).order_by("pk"):
        due = job.rows.filter(due_at__lte=now)[: limit * CHUNK_ROWS].count()
        chunks += [job.pk] * -(-due // CHUNK_ROWS)
        if len(chunks) >= limit:
            break
    return chunks[:limit]


def _with_due_rows(*, at: datetime) -> BulkJobQuerySet:
    due = BulkRow.objects.filter(job=OuterRef("pk"), due_at__lte=at)
    is_resting = Q(rests_until__gt=at)
    return BulkJob.objects.enqueued().filter(~is_resting, Exists(due))


def record_rest(job: BulkJob, rests: Mapping[str, datetime]) -> None:
    """Leave the job alone until the first wait ends, if all its due rows have to wait.

    rests: the ends of the waits that a run has met, by the element's key.
    """
    now = database_now()
    due = job.rows.filter(due_at__lte=now).exclude(element_key__in=rests)
    until = (now if due.exists() else min(rests.values())) if rests else None
    BulkJob.objects.filter(pk=job.pk).exclude(rests_until=until).update(rests_until=until)
