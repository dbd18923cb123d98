"""Users and groups in the theme's forms, and the connections of users who leave."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin, UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from unfold.forms import (
    AdminPasswordChangeForm,
    UserChangeForm,
    UserCreationForm,
)

from instances.admin.handover import connections_page, remind_of_connections
from instances.admin.related import related_to_user
from instances.pages.admin_pages import ModelAdmin
from instances.pages.forms import SignInForm
from instances.provisioning.access.offboarding import log_entries_of
from instances.provisioning.access.permissions import visible_users
from instances.times import format_time

LISTED_ENTRIES = 20

admin.site.unregister([User, Group])


class AdminSignInForm(SignInForm, AdminAuthenticationForm):
    """Our sign-in form, for users who may use the admin."""


admin.site.login_form = AdminSignInForm


def _facts(user: User) -> list[str]:
    """Return the user's name and address, roles, and when the user last signed in."""
    at = format_time(user.last_login) if user.last_login else _("never")
    roles = [_("superuser")] if user.is_superuser else [group.name for group in user.groups.all()]
    facts = [user.get_full_name(), user.email, ", ".join(roles), _("last signed in: %s") % at]
    return [fact for fact in facts if fact]


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User], ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    change_form_template = "admin/instances/related_form.html"
    # Recorded, not entered.
    readonly_fields = ["last_login", "date_joined"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Return users of the signed-in user's own organizations. Autocompletes use this too."""
        return visible_users(request.user).order_by(*self.get_ordering(request))

    def get_urls(self) -> list[URLPattern]:
        connections = path(
            "<int:object_id>/connections/",
            self.admin_site.admin_view(partial(connections_page, self)),
            name="auth_user_connections",
        )
        return [connections, *super().get_urls()]

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: User | None = None,
    ) -> HttpResponse:
        if obj:
            context["status"] = _("Active") if obj.is_active else _("Inactive")
            context["meaning"] = "healthy" if obj.is_active else "paused"
            context["text"] = " · ".join(_facts(obj))
            context["related"] = related_to_user(obj, request.user)
        if obj and request.user.has_perm("instances.view_instance"):
            url = reverse("admin:auth_user_connections", args=[obj.pk])
            context["buttons"] = [(_("View connections"), url)]
        return super().render_change_form(request, context, add, change, form_url, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Add the log entries that keep a user from being deleted to Django's result."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        entries = log_entries_of(objs).select_related("user")
        protected += [
            _("Log entry of %(name)s: %(entry)s") % {"name": entry.user, "entry": entry}
            for entry in entries[:LISTED_ENTRIES]
        ]
        return deleted, counts, needed, protected

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and not obj.is_active:
            remind_of_connections(request, obj)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass
