"""Bulk jobs that provision on a test's remote platform."""

from collections import Counter
from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from instances.bulk.files.lines import FileRow
from instances.bulk.reading import read_bulk_job
from instances.models import BulkRow, Instance
from tests.support.factories import make_element


def body(name, **fields):
    return {
        "name": name,
        "element": {"key": "keyed"},
        "configuration": {"api.key": f"k3y-of-{name}", "site": "acme"},
    } | fields


def make_job(user, bodies, **options):
    make_element()
    rows = (FileRow(number, body) for number, body in enumerate(bodies, start=1))
    return read_bulk_job(user, rows, actor="test", **options)


def pass_time():
    """Simulate that minutes have passed: leases and waits are over, and every lost create is certain."""
    long_ago = timezone.now() - timedelta(minutes=5)
    QuerySet.update(
        Instance.objects.filter(state__in=["unknown", "provisioning"]), state_changed_at=long_ago
    )
    BulkRow.objects.unfinished().update(due_at=timezone.now())


def outcomes(job):
    return Counter(job.rows.values_list("outcome", flat=True))
