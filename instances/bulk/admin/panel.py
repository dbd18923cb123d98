"""The console's panel of bulk jobs in progress."""

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.formats import localize
from django.utils.translation import gettext as _

from instances.bulk.admin.job_page import bar_of_job, progress_text
from instances.bulk.jobs import Progress, progress_of_each
from instances.models import BulkJob, OrganizationUser
from instances.pages.bars import sentence_of
from instances.pages.console_panels import ConsolePanel

MAX_JOBS = 5


def _context(user: User | AnonymousUser) -> dict[str, Any]:
    """Return `jobs`: unfinished jobs that the user may operate, with their progress in words and as a bar."""
    state = BulkJob.State
    unfinished = BulkJob.objects.filter(
        state__in=[state.READING, state.RUNNING, state.PAUSED],
        organization_user__in=OrganizationUser.objects.operated_by(user),
    )
    jobs = list(unfinished[:MAX_JOBS])
    progress_of = progress_of_each(jobs) if jobs else {}
    return {"jobs": [_line(job, progress) for job, progress in progress_of.items()]}


def _line(job: BulkJob, progress: Progress) -> dict[str, Any]:
    parts = bar_of_job(progress)
    done = _("%(ended)s of %(total)s rows done, %(failed)s failed") % {
        "ended": localize(progress.ended),
        "total": localize(progress.total),
        "failed": localize(progress.failed),
    }
    texts = [_("Bulk job"), job.get_state_display(), done, progress_text(progress)]
    return {
        "title": job.name or str(job),
        "url": reverse("admin:instances_bulkjob_change", args=[job.pk]),
        "parts": parts,
        "sentence": sentence_of(parts) or _("No rows are done."),
        "text": " · ".join(filter(None, texts)),
    }


PANEL = ConsolePanel(
    permission="instances.view_bulkjob",
    template="admin/instances/bulk_jobs_panel.html",
    context=_context,
)
