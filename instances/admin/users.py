"""Users and groups in the theme's forms, and the connections of users who leave."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin, UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.forms import BoundField
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from unfold.forms import (
    AdminPasswordChangeForm,
    AuthenticationForm,
    UserChangeForm,
    UserCreationForm,
)

from instances.admin.handover import connections_page, remind_of_connections
from instances.pages.admin_pages import ModelAdmin
from instances.pages.forms import SignInForm
from instances.provisioning.access.offboarding import log_entries_of
from instances.provisioning.access.permissions import visible_users

LISTED_ENTRIES = 20

admin.site.unregister([User, Group])


class AdminSignInForm(SignInForm, AuthenticationForm):
    """The theme's sign-in form, with the throttling that all sign-ins share."""

    bound_field_class = BoundField


admin.site.login_form = AdminSignInForm


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User], ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    change_form_template = "admin/instances/user.html"

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
