"""Authorizations: who started each one, and its outcome."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from instances.models import Authorization, Instance
from instances.pages.admin_pages import ReadOnlyAdmin

_OUTCOME_COLOURS = {
    Authorization.Outcome.PENDING: "info",
    Authorization.Outcome.COMPLETED: "success",
    Authorization.Outcome.DENIED: "warning",
    Authorization.Outcome.FAILED: "danger",
}


@admin.register(Authorization)
class AuthorizationAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "instance", "started_by", "outcome_label", "used_at"]
    list_select_related = ["instance", "started_by"]
    list_filter = [("outcome", ChoicesDropdownFilter)]
    search_fields = ["instance__name", "=instance__uid", "started_by__username"]
    paginator = InfinitePaginator
    show_full_result_count = False
    fields = [
        "instance",
        "started_by",
        "link",
        "outcome",
        "redirect_uri",
        "created_at",
        "used_at",
        "expires_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Authorization]:
        visible = Instance.objects.visible_to(request.user)
        return super().get_queryset(request).filter(instance__in=visible)

    @display(description=_("outcome"), label=_OUTCOME_COLOURS, ordering="outcome")
    def outcome_label(self, authorization: Authorization) -> tuple[str, str]:
        return authorization.outcome, authorization.get_outcome_display()
