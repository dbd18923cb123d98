"""The console's panel of bulk jobs in progress."""

from typing import Any

from django.contrib.auth.models import AnonymousUser, User

from instances.bulk.jobs import progress_of_each
from instances.models import BulkJob, OrganizationUser
from instances.pages.console_panels import ConsolePanel

MAX_JOBS = 5


def _context(user: User | AnonymousUser) -> dict[str, Any]:
    """Return `jobs`: unfinished jobs that the user may operate, with progress."""
    state = BulkJob.State
    unfinished = BulkJob.objects.filter(
        state__in=[state.READING, state.RUNNING, state.PAUSED],
        organization_user__in=OrganizationUser.objects.operated_by(user),
    )
    jobs = list(unfinished.select_related("organization_user__organization")[:MAX_JOBS])
    return {"jobs": list(progress_of_each(jobs).items()) if jobs else []}


PANEL = ConsolePanel(
    permission="instances.view_bulkjob",
    template="admin/instances/bulk_jobs_panel.html",
    context=_context,
)
