"""The dry run of a bulk job: a verdict for each row, and nothing is sent or drafted."""

from collections.abc import Iterator

from django.utils import timezone

from instances.errors import InstancesError
from instances.models import BulkJob, BulkRow, Element
from instances.provisioning.bodies import draft_arguments, element_of, parse_body
from instances.provisioning.bulk_rows import existing_instance
from instances.provisioning.drafts import check_draft

_READ_ROWS = 500


def check_bulk_job(job: BulkJob) -> Iterator[BulkRow]:
    """Look at every pending row and keep the verdict; yields each row.

    Names are remembered as numbers, so that memory hardly grows with the rows.
    """
    BulkJob.objects.filter(pk=job.pk).update(checked_at=None)
    check = _Check(job)
    last = 0
    pending = job.rows.filter(outcome=BulkRow.Outcome.PENDING)
    while rows := list(pending.filter(number__gt=last)[:_READ_ROWS]):
        changed = []
        for row in rows:
            verdict = check.verdict(row)
            if verdict != row.verdict:
                row.verdict = verdict
                changed.append(row)
        BulkRow.objects.bulk_update(changed, ["verdict"])
        yield from rows
        last = rows[-1].number
    BulkJob.objects.filter(pk=job.pk).update(checked_at=timezone.now())


class _Check:
    def __init__(self, job: BulkJob) -> None:
        self._user = job.organization_user
        self._is_skipping_existing = job.is_skipping_existing
        self._elements: dict[str, Element] = {}
        self._first_with: dict[int, int] = {}

    def verdict(self, row: BulkRow) -> str:
        """What is wrong with a row, as a sentence; empty when it could be provisioned."""
        try:
            body = parse_body(row.body.reveal())
            if row.element_key not in self._elements:
                self._elements[row.element_key] = element_of(body)
            element = self._elements[row.element_key]
            columns, _ = check_draft(self._user, element, **draft_arguments(element, body))
        except InstancesError as error:
            return str(error)
        name = columns["name"]
        first = self._first_with.setdefault(hash((element.pk, name)), row.number)
        if first != row.number:
            return f"Row {first} of this file has the same name and element."
        if not self._is_skipping_existing and existing_instance(self._user, element, name):
            return "An instance of this name and element is there already; this would make a second one."
        return ""
