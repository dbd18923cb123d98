"""The dry run of a bulk job: store a verdict for each row.

Nothing is sent or drafted.
"""

from collections.abc import Iterator

from django.db.models import F
from django.utils import timezone

from instances.bulk.jobs import MAX_DRY_RUNS
from instances.bulk.plans import Identity, RowPlanner, duplication, identity_of
from instances.errors import InstancesError
from instances.models import BulkJob, BulkRow, Instance

_READ_ROWS = 500


def check_bulk_job(job: BulkJob) -> Iterator[BulkRow]:
    """Check every pending row, store its verdict, and yield the row.

    A row that the job will skip has no verdict, but `is_skipped`. Does nothing once MAX_DRY_RUNS dry runs have started
    without finishing.
    """
    # A task engine may redeliver a task that crashes its worker forever.
    begun = BulkJob.objects.filter(pk=job.pk, dry_runs_begun__lt=MAX_DRY_RUNS)
    if not begun.update(checked_at=None, dry_runs_begun=F("dry_runs_begun") + 1):
        return
    check = _Check(job)
    last = 0
    pending = job.rows.filter(outcome=BulkRow.Outcome.PENDING)
    while rows := list(pending.filter(number__gt=last)[:_READ_ROWS]):
        changed = []
        for row, verdict in zip(rows, check.verdicts(rows), strict=True):
            if verdict != row.verdict:
                row.verdict = verdict
                changed.append(row)
        BulkRow.objects.bulk_update(changed, ["verdict"])
        # A sign of life: the scheduler does not enqueue the dry run again.
        asked = BulkJob.objects.filter(pk=job.pk, enqueued_at__isnull=False)
        asked.update(enqueued_at=timezone.now())
        yield from rows
        last = rows[-1].number
    BulkJob.objects.filter(pk=job.pk).update(checked_at=timezone.now(), dry_runs_begun=0)


class _Check:
    def __init__(self, job: BulkJob) -> None:
        self._job = job
        self._planner = RowPlanner(job.organization_user)

    def verdicts(self, rows: list[BulkRow]) -> list[str]:
        """Say what is wrong with each row, as a sentence; empty if nothing is."""
        identities = [self._identity(row) for row in rows]
        there = self._existing(
            [identity.name for identity in identities if isinstance(identity, Identity)]
        )
        return [
            identity if isinstance(identity, str) else self._double(row, identity, there)
            for row, identity in zip(rows, identities, strict=True)
        ]

    def _identity(self, row: BulkRow) -> Identity | str:
        """Identify the instance that the row would create, or say why it cannot."""
        try:
            plan = self._planner.plan(row)
            self._planner.prepare(plan, actor=self._job.actor)
        except InstancesError as error:
            return str(error)
        return identity_of(plan)

    def _existing(self, names: list[str]) -> set[Identity]:
        there = Instance.objects.filter(
            organization_user=self._job.organization_user, name__in=names
        )
        return {Identity(*identity) for identity in there.values_list("element_id", "name")}

    def _double(self, row: BulkRow, identity: Identity, there: set[Identity]) -> str:
        """Say what the row is a duplicate of, unless it will be skipped or created as one."""
        if self._job.is_allowing_duplicates:
            return ""
        why = duplication(row, identity, there)
        row.is_skipped = bool(why) and self._job.is_skipping_existing
        return "" if row.is_skipped else why
