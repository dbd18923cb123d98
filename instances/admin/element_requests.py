"""Element requests: what staff want to connect, on the console and in a list."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from instances.models import ElementRequest
from instances.pages.admin_pages import ReadOnlyAdmin
from instances.pages.console_panels import ConsolePanel, register_console_panel

# Who may answer a request.
PERMISSION = "instances.add_oauthapp"
MAX_SHOWN = 5


@admin.register(ElementRequest)
class ElementRequestAdmin(ReadOnlyAdmin):
    """A request is answered by adding an OAuth app, or declined by deleting the request."""

    list_display = ["element", "organization", "requested_by", "created_at"]
    list_select_related = ["element", "organization", "requested_by"]
    fields = ["element", "organization", "requested_by", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ElementRequest]:
        rows: Any = super().get_queryset(request)
        return rows.open().received_by(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PERMISSION)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm(PERMISSION)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm(PERMISSION)


def _context(user: User | AnonymousUser) -> dict[str, Any]:
    """Return `requests`, the latest, and whether there are more."""
    rows = ElementRequest.objects.open().received_by(user)
    found = list(rows.select_related("element", "organization", "requested_by")[: MAX_SHOWN + 1])
    return {"element_requests": found[:MAX_SHOWN], "has_more_requests": len(found) > MAX_SHOWN}


register_console_panel(
    ConsolePanel(
        permission=PERMISSION,
        template="admin/instances/element_requests_panel.html",
        context=_context,
    )
)
