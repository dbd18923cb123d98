"""Which bulk job a worker serves next, and how many more workers have something to do.

The rows say both. A task in the queue only wakes a worker: whichever job asked for it, the worker serves the job whose
turn it is. So jobs share the workers however many rows each has, and a cancelled one leaves nothing behind.
"""

from datetime import datetime

from django.db.models import Count, Exists, F, OuterRef, Subquery
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
    return BulkJob.objects.enqueued().filter(Exists(due))
