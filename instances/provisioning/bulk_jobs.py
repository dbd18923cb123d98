"""Bulk jobs: many instances of one organization user, provisioned row by row, each row claimed first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from instances.errors import InstancesError
from instances.models import BulkJob, BulkRow, OrganizationUser
from instances.provisioning.bodies import instance_from_body, parse_body
from instances.provisioning.instances import provision_instance


def submit_bulk_job(
    organization_user: OrganizationUser, bodies: Sequence[Mapping[str, Any]], *, actor: str
) -> BulkJob:
    """Keep the rows, sealed, before any of them is sent. bodies: `POST /instances` bodies (contract 7.1)."""
    with transaction.atomic():
        job = BulkJob.objects.create(organization_user=organization_user, actor=actor)
        rows = [
            BulkRow(job=job, number=number, name=_name_of(body))
            for number, body in enumerate(bodies, start=1)
        ]
        for row, body in zip(rows, bodies, strict=True):
            row.body = dict(body)
        BulkRow.objects.bulk_create(rows, batch_size=500)
    return job


def run_bulk_job(job: BulkJob) -> Iterator[BulkRow]:
    """Provision the job's pending rows one after the other; yields each when it is done."""
    for row in job.rows.pending().iterator(chunk_size=200):
        if BulkRow.objects.claim(row):
            _run_row(job, row)
            yield row
    job.finished_at = timezone.now()
    job.save(update_fields=["finished_at"])


def _name_of(body: Mapping[str, Any]) -> str:
    # PostgreSQL stores no NUL.
    return str(body.get("name") or "").replace("\x00", "")[:200]


def _run_row(job: BulkJob, row: BulkRow) -> None:
    try:
        body = parse_body(row.body.reveal())
        row.instance = instance_from_body(job.organization_user, body, actor=job.actor)
        row.save(update_fields=["instance"])
        provision_instance(row.instance, actor=job.actor, provider_data=body.provider_data)
        row.outcome = BulkRow.Outcome.SUCCEEDED
    except InstancesError as error:
        row.outcome = BulkRow.Outcome.FAILED
        row.error = str(error)
    if row.instance:
        # Its secrets are the instance's now.
        row.body = {}
    row.save(update_fields=["outcome", "error", "body"])
