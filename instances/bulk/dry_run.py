"""The dry run of a bulk job: store a verdict for each row.

Nothing is sent or drafted.
"""

from collections.abc import Iterator

from django.db.models import F
from django.utils import timezone

from instances.bulk.jobs import MAX_DRY_RUNS
from instances.bulk.plans import Identity, RowPlanner, identity_of, prepare
from instances.errors import InstancesError
from instances.models import BulkJob, BulkRow, Instance

_READ_ROWS = 500


def check_bulk_job(job: BulkJob) -> Iterator[BulkRow]:
    """Check every pending row, store its verdict, and yield the row.

    Does nothing once MAX_DRY_RUNS dry runs have started without finishing. Remembers a hash of each name, so that
    memory hardly grows with the number of rows.
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
        self._user = job.organization_user
        self._actor = job.actor
        self._planner = RowPlanner(job.organization_user)
        self._is_skipping_existing = job.is_skipping_existing
        self._first_with: dict[int, int] = {}

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
            prepare(plan, actor=self._actor)
        except InstancesError as error:
            return str(error)
        return identity_of(plan)

    def _existing(self, names: list[str]) -> set[Identity]:
        if self._is_skipping_existing:
            return set()
        there = Instance.objects.filter(organization_user=self._user, name__in=names)
        return {Identity(*identity) for identity in there.values_list("element_id", "name")}

    def _double(self, row: BulkRow, identity: Identity, there: set[Identity]) -> str:
        first = self._first_with.setdefault(hash(identity), row.number)
        if first != row.number:
            return f"Duplicate: row {first} of this file has the same name and element."
        if identity in there:
            return "An instance with this name and element already exists; this row would create a second one."
        return ""
