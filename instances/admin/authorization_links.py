"""Authorization links: which instances they are for, and their status."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _, gettext_lazy
from unfold.decorators import display

from instances.errors import InstancesError
from instances.models import AuthorizationLink
from instances.pages.admin_pages import ReadOnlyAdmin
from instances.provisioning.oauth.links import revoke_link

_Status = AuthorizationLink.Status
_STATUS_COLOURS = {
    _Status.WAITING: "info",
    _Status.STARTED: "info",
    _Status.COMPLETED: "success",
    _Status.EXPIRED: "default",
    _Status.REVOKED: "default",
    _Status.WITHOUT_CREATOR: "default",
}


@admin.register(AuthorizationLink)
class AuthorizationLinkAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "instance", "made_by", "note", "status_label", "expires_at"]
    list_select_related = ["instance", "made_by"]
    search_fields = ["instance__name", "made_by__username"]
    actions = ["revoke"]
    fields = [
        "instance",
        "made_by",
        "note",
        "created_at",
        "expires_at",
        "used_at",
        "completed_at",
        "revoked_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuthorizationLink]:
        return super().get_queryset(request).visible_to(request.user).with_status()

    @display(description=gettext_lazy("status"), label=_STATUS_COLOURS)
    def status_label(self, link: AuthorizationLink) -> tuple[str, str]:
        return link.status, str(link.status.label)

    @admin.action(description=gettext_lazy("Revoke"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[AuthorizationLink]) -> None:
        user = request.user
        if not user.is_authenticated:
            raise PermissionDenied
        for link in queryset.select_related("instance__element"):
            try:
                revoke_link(link, user=user)
            except InstancesError as error:
                messages.error(request, str(error))
            else:
                messages.success(request, _("The link for %s was revoked.") % link.instance.name)
