"""Admin pages of bulk jobs: the list, and one job with its rows and actions."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _, gettext_lazy
from django.views.decorators.csrf import csrf_exempt
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.views import ChangeList

from instances.bulk.admin.actions import confirm
from instances.bulk.admin.job_page import job_page, status_of
from instances.bulk.admin.uploads import template_file, upload_page
from instances.bulk.jobs import progress_of_each
from instances.bulk.result_file import result_file
from instances.models import BulkJob, OrganizationUser
from instances.pages.admin_pages import (
    ModelAdmin,
    render_confirmation,
    render_page,
    status_cell,
)
from instances.pages.reach import SelectFilter


class JobList(ChangeList):
    """The list, with the progress of its jobs read in one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        jobs: list[BulkJob] = list(self.result_list)  # type: ignore[has-type]
        for job, progress in (progress_of_each(jobs) if jobs else {}).items():
            job.progress = progress  # type: ignore[attr-defined]
        self.result_list = jobs


@admin.register(BulkJob)
class BulkJobAdmin(ModelAdmin):
    list_display = ["__str__", "name", "state_label", "progress", "organization_user", "created_at"]
    list_select_related = ["organization_user__organization"]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("organization_user__organization", SelectFilter),
    ]
    list_filter_submit = True
    list_per_page = 25
    search_fields = ["name", "organization_user__email"]
    search_help_text = gettext_lazy("File or e-mail address")
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[BulkJob]:
        """List the jobs of the organization users that the user may operate."""
        operated = OrganizationUser.objects.operated_by(request.user)
        return super().get_queryset(request).filter(organization_user__in=operated)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[JobList]:
        return JobList

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_label(self, job: Any) -> str:
        return status_cell(*status_of(job, job.progress))

    @admin.display(description=gettext_lazy("rows"))
    def progress(self, job: Any) -> str:
        return _("%(ended)d of %(total)d, %(failed)d failed") % {
            "ended": job.progress.ended,
            "total": job.progress.total,
            "failed": job.progress.failed,
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
        return render_page(self, request, "bulk_job.html", job_page(request, job))

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
        lines = result_file(
            job, user=request.user, has_tokens=has_tokens, cause=request.GET.get("cause", "")
        )
        return StreamingHttpResponse(lines, content_type="text/csv", headers=headers)
