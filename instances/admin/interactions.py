"""Interactions: the list of every recorded exchange, and the page of one."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from instances.admin.keyset import KeysetAdmin
from instances.models import Interaction
from instances.models.interactions import InteractionQuerySet
from instances.pages.admin_pages import ReadOnlyAdmin, render_page
from instances.pages.exchanges import Exchange, exchange_of


class OutcomeFilter(DropdownFilter):
    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("failed", _("failed")), ("succeeded", _("succeeded"))]

    def queryset(self, request: HttpRequest, queryset: InteractionQuerySet) -> InteractionQuerySet:
        match self.value():
            case "failed":
                return queryset.failed()
            case "succeeded":
                return queryset.succeeded()
        return queryset


@admin.register(Interaction)
class InteractionAdmin(ReadOnlyAdmin, KeysetAdmin):
    list_display = [
        "started_at",
        "subject",
        "operation",
        "request_line",
        "status_label",
        "duration",
        "error_summary",
    ]
    list_filter = [
        ("kind", ChoicesDropdownFilter),
        ("direction", ChoicesDropdownFilter),
        OutcomeFilter,
    ]
    list_filter_submit = True
    search_fields = ["subject"]
    search_help_text = _("Search by instance name or operation")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Interaction]:
        return super().get_queryset(request).visible_to(request.user)

    def search_conditions(self, text: str) -> list[Q]:
        return [Q(subject__istartswith=text), Q(operation=text)]

    @display(description=_("request"))
    def request_line(self, interaction: Interaction) -> str:
        parts = urlsplit(interaction.url)
        return f"{interaction.method} {parts.netloc}{parts.path}"[:80]

    @display(description=_("status"), label={"danger": "danger", "success": "success"})
    def status_label(self, interaction: Interaction) -> tuple[str, str]:
        exchange = Exchange(interaction, [])
        return exchange.colour, exchange.status

    @display(description=_("error"))
    def error_summary(self, interaction: Interaction) -> str:
        return Truncator(interaction.error).chars(60)

    @display(description=_("duration"))
    def duration(self, interaction: Interaction) -> str:
        return f"{interaction.duration_ms} ms"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one exchange, read-only."""
        interaction = self.visible_object(request, object_id)
        context = {
            "title": interaction.operation,
            "original": interaction,
            "exchange": exchange_of(interaction),
        }
        return render_page(self, request, "interaction.html", context)
