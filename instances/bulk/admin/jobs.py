"""Admin pages of bulk jobs: the list, and one job with its rows and actions."""

from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _, gettext_lazy
from django.views.decorators.csrf import csrf_exempt
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from instances.bulk.admin.actions import ACTIONS, BulkAction, confirm
from instances.bulk.admin.uploads import template_file, upload_page
from instances.bulk.jobs import Progress, is_dry_run_given_up, is_reading_stalled, progress_of
from instances.bulk.result_file import result_file
from instances.models import BulkJob, BulkRow, OrganizationUser
from instances.pages.admin_pages import ModelAdmin, render_confirmation, render_page

_State = BulkJob.State
STALLED = "stalled"
STATE_COLOURS: dict[str, str] = {
    _State.READING: "info",
    _State.DRAFT: "default",
    _State.RUNNING: "info",
    _State.PAUSED: "warning",
    _State.CANCELLED: "default",
    _State.FINISHED: "success",
    STALLED: "warning",
}

ROWS_PAGE = 50
REFRESH_SECONDS = 2
WRONG = "wrong"


@admin.register(BulkJob)
class BulkJobAdmin(ModelAdmin):
    list_display = ["__str__", "name", "state_label", "progress", "organization_user", "created_at"]
    list_select_related = ["organization_user__organization"]
    list_filter = [("state", ChoicesDropdownFilter)]
    list_filter_submit = True
    list_per_page = 25
    search_fields = ["name", "organization_user__email"]
    search_help_text = gettext_lazy("File or e-mail address")
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[BulkJob]:
        """List the jobs of the organization users that the user may operate."""
        operated = OrganizationUser.objects.operated_by(request.user)
        return super().get_queryset(request).filter(organization_user__in=operated)

    @display(description=gettext_lazy("state"), label=STATE_COLOURS, ordering="state")
    def state_label(self, job: BulkJob) -> tuple[str, str]:
        if is_reading_stalled(job):
            return STALLED, _("stalled while reading")
        return job.state, job.get_state_display()

    @display(description=gettext_lazy("rows"))
    def progress(self, job: BulkJob) -> str:
        progress = progress_of(job)
        return _("%(ended)d of %(total)d, %(failed)d failed") % {
            "ended": progress.ended,
            "total": progress.total,
            "failed": progress.failed,
        }

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path(
                "template/",
                wrap(partial(template_file, self)),
                name="instances_bulkjob_template",
            ),
            path(
                "<int:object_id>/actions/<slug:action_name>/",
                wrap(partial(confirm, self)),
                name="instances_bulkjob_action",
            ),
            path(
                "<int:object_id>/result/",
                wrap(self.result_view),
                name="instances_bulkjob_result",
            ),
            path(
                "<int:object_id>/result-with-tokens/",
                wrap(self.tokens_view),
                name="instances_bulkjob_tokens",
            ),
        ]
        return [*own, *super().get_urls()]

    @method_decorator(csrf_exempt)
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return upload_page(self, request)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        if not object_id.isdecimal():
            raise Http404
        return redirect("admin:instances_bulkjob_action", object_id, "delete")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Show a job. It is changed only through its buttons."""
        job = self.visible_object(request, object_id)
        return render_page(self, request, "bulk_job.html", self._page_of(request, job))

    def result_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        return self._send_results(request, self.visible_object(request, str(object_id)))

    def tokens_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Send the result file with the Element tokens, after a confirmation.

        Each token is recorded as revealed.
        """
        job = self.visible_object(request, str(object_id))
        if not request.user.has_perm("instances.reveal_token"):
            raise PermissionDenied
        if request.method == "POST":
            return self._send_results(request, job, has_tokens=True)
        context = {
            "title": _("Download with Element tokens"),
            "is_download": True,
            "original": job,
            "effect": _(
                "The file contains the Element tokens in plain text. Each token is recorded as revealed to you."
            ),
            "rows": [f"{job} {job.name}"],
            "back_url": reverse("admin:instances_bulkjob_change", args=[job.pk]),
        }
        return render_confirmation(self, request, context)

    def _send_results(
        self, request: HttpRequest, job: BulkJob, *, has_tokens: bool = False
    ) -> StreamingHttpResponse:
        headers = {"Content-Disposition": f'attachment; filename="bulk-job-{job.pk}.csv"'}
        lines = result_file(job, user=request.user, has_tokens=has_tokens)
        return StreamingHttpResponse(lines, content_type="text/csv", headers=headers)

    def _page_of(self, request: HttpRequest, job: BulkJob) -> dict[str, Any]:
        progress = progress_of(job)
        chosen = request.GET.get("rows", "")
        rows = Paginator(_chosen_rows(job, chosen), ROWS_PAGE).get_page(request.GET.get("page"))
        return {
            "title": f"{job} {job.name}".capitalize(),
            "original": job,
            "state_colour": STATE_COLOURS[_State(job.state)],
            "progress": progress,
            "time_left": _time_left(progress),
            "is_reading_stalled": is_reading_stalled(job),
            "is_dry_run_given_up": is_dry_run_given_up(job),
            "refresh_seconds": REFRESH_SECONDS if _is_changing(job) else None,
            "wrong_count": job.rows.exclude(verdict="").count(),
            "buttons": [
                {"action": action, "url": action.url(job)}
                for action in ACTIONS.values()
                if _is_offered(action, job, progress) and action.is_allowed(request.user)
            ],
            "filters": _filters(progress, chosen),
            "rows": rows,
            "chosen": chosen,
            "may_see_tokens": request.user.has_perm("instances.reveal_token"),
        }


def _is_offered(action: BulkAction, job: BulkJob, progress: Progress) -> bool:
    is_idle_retry = action.name == "retry" and not progress.failed
    return job.state in action.states and not is_idle_retry


def _is_changing(job: BulkJob) -> bool:
    is_being_checked = job.state == _State.DRAFT and job.checked_at is None
    is_being_read = job.state == _State.READING and not is_reading_stalled(job)
    return is_being_checked or is_being_read or job.state == _State.RUNNING


def _chosen_rows(job: BulkJob, chosen: str) -> QuerySet[BulkRow]:
    rows = job.rows.select_related("instance")
    if chosen == WRONG:
        return rows.exclude(verdict="")
    return rows.filter(outcome=chosen) if chosen in BulkRow.Outcome.values else rows


def _filters(progress: Progress, chosen: str) -> list[dict[str, Any]]:
    """Build the filters: all rows, and each outcome that occurs."""
    outcomes = [("", _("all"), progress.total)]
    outcomes += [
        (outcome.value, str(outcome.label), progress.counts[outcome])
        for outcome in BulkRow.Outcome
        if progress.counts[outcome]
    ]
    return [
        {"value": value, "label": label, "count": count, "is_current": value == chosen}
        for value, label, count in outcomes
    ]


def _time_left(progress: Progress) -> str:
    seconds = progress.seconds_left
    return "" if seconds is None else str(timedelta(seconds=seconds))
