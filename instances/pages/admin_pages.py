"""Parts shared by the admin's pages: base classes, the confirmation page, and the display of secrets."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import ActionLocation
from django.core.exceptions import PermissionDenied
from django.db.models import DateTimeField, Model
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.csp import CSP, build_policy
from django.utils.html import format_html
from django.utils.translation import gettext as _
from unfold import admin as unfold_admin
from unfold.widgets import UnfoldAdminPasswordWidget

from instances.fields import Sealed, SealedRow
from instances.pages.reach import hide_strangers, is_all_within_reach


@cache
def _time_column(field: DateTimeField[Any, Any]) -> Callable[[Model], str | None]:
    """Return a column of a list that shows a time as all other pages do."""

    @admin.display(description=field.verbose_name, ordering=field.name)
    def column(row: Model) -> str | None:
        at = getattr(row, field.name)
        return render_to_string("instances/time.html", {"at": at}) if at else None

    column.__name__ = field.name
    return column


class ModelAdmin(unfold_admin.ModelAdmin):
    """Unfold's, with the signature that Django 6.1 gave to get_action_choices()."""

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        times = {
            field.name: field
            for field in self.opts.concrete_fields
            if isinstance(field, DateTimeField)
        }
        return [_time_column(times[name]) if name in times else name for name in columns]

    def get_action_choices(
        self,
        request: HttpRequest,
        default_choices: Any = None,
        action_location: ActionLocation = ActionLocation.CHANGE_LIST,
    ) -> list[tuple[str, str]]:
        prompt = [("", _("Select action"))]
        return admin.ModelAdmin.get_action_choices(self, request, prompt, action_location)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, int], set[Any], list[Any]]:
        """Refuse, without naming anything, if the user may not view all of the related rows."""
        if not is_all_within_reach(objs, request, self.admin_site):
            return [], {}, {_("rows that belong to other organizations")}, []
        return super().get_deleted_objects(objs, request)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        response = super().history_view(request, object_id, extra_context)
        if isinstance(response, TemplateResponse):
            hide_strangers((response.context_data or {})["action_list"], request)
        return response

    def visible_object(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row for one of our own pages. Raises Http404, or PermissionDenied if it may not be viewed."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row


class ReadOnlyAdmin(ModelAdmin):
    """A read-only admin: a list, and a page for each row."""

    actions: list[str] | None = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class SecretInput(UnfoldAdminPasswordWidget):
    """The theme's password input, which never shows a stored value."""

    def __init__(self) -> None:
        super().__init__(attrs={"autocomplete": "new-password"}, render_value=False)


def secret_state(row: SealedRow, name: str) -> str:
    """Return the text shown instead of a secret: whether it exists and can be used, otherwise what to do."""
    if name in row.unreadable_secrets():
        return _(
            "Unreadable: its encryption key is missing, or the row was altered. Restore the key, or enter a new secret."
        )
    sealed: Sealed[Any] = getattr(row, name)
    return str(sealed) or _("None")


def status_cell(meaning: str, text: str) -> str:
    """Return a status for a cell of a list."""
    context = {"meaning": meaning, "text": text}
    status = render_to_string("instances/components/status.html", context)
    return format_html('<span class="im">{}</span>', status)


def render_page(
    model_admin: ModelAdmin, request: HttpRequest, template: str, context: Mapping[str, Any]
) -> TemplateResponse:
    """Render one of our own pages in the admin's frame. context has a title, and original for the page of a row."""
    return _render(model_admin, request, f"admin/instances/{template}", context)


def _render(
    model_admin: ModelAdmin, request: HttpRequest, template: str, context: Mapping[str, Any]
) -> TemplateResponse:
    frame = model_admin.admin_site.each_context(request)
    return TemplateResponse(request, template, {**frame, "opts": model_admin.opts, **context})


def render_confirmation(
    model_admin: ModelAdmin, request: HttpRequest, context: Mapping[str, Any]
) -> TemplateResponse:
    """Ask before changing anything. context: title, effect, is_destructive, back_url, and instances or rows."""
    return _render(model_admin, request, "instances/pages/confirmation.html", context)


def render_secrets(
    model_admin: ModelAdmin, request: HttpRequest, context: Mapping[str, Any]
) -> HttpResponse:
    """Show secrets once, on a page that browsers do not store. context: title, advice, secrets (label to value),
    done_url.
    """
    return _render(model_admin, request, "instances/pages/shown_once.html", context)


def allow_leaving(response: HttpResponse) -> HttpResponse:
    """Allow this page's forms to redirect to a provider."""
    response.headers[str(CSP.HEADER_ENFORCE)] = build_policy(settings.AUTHORIZE_CSP)
    return response
