"""OAuth apps: clients that operators registered with providers."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_lazy as _, ngettext
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import DropdownFilter
from unfold.widgets import UnfoldBooleanWidget

from instances.admin.fleet import list_url
from instances.admin.hosts import HostsField
from instances.models import Element, OAuthApp, Organization
from instances.models.oauth_apps import OAuthAppQuerySet
from instances.pages.admin_pages import ModelAdmin, SecretInput, secret_state
from instances.pages.availability import Notice
from instances.pages.reach import SelectFilter
from instances.pasted import trimmed
from instances.provisioning.oauth.app_effects import (
    MAX_COUNTED,
    Effect,
    effects_on,
)
from instances.provisioning.oauth.apps import (
    keep_a_default,
    make_default,
    movable_apps,
    movable_instances,
    move_to_app,
)
from instances.provisioning.plan import default_callback_url

# At once; the page can be used again.
MAX_MOVED = 10_000
MAX_SOURCES = 20
# How long before its end lists warn of a client secret's.
WARNED_BEFORE = timedelta(days=30)
# A change of these needs the client secret again.
_WHERE_THE_SECRET_GOES = {"organization", "element", "hosts"}


class OAuthAppForm(forms.ModelForm[OAuthApp]):
    new_client_secret = forms.CharField(
        label=_("Client secret"),
        required=False,
        strip=False,
        widget=SecretInput,
        help_text=_("Never shown again. Leave blank to keep the current value."),
        error_messages={"required": _("Enter the client secret from the provider.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding and "new_client_secret" in self.fields:
            self.fields["new_client_secret"].required = True
            self.fields["new_client_secret"].help_text = _("Never shown again.")
        if "make_default" in self.fields:
            self.fields["make_default"].initial = (
                self.instance.is_default and not self.instance._state.adding
            )

    make_default = forms.BooleanField(
        label=_("Default"),
        required=False,
        widget=UnfoldBooleanWidget,
        help_text=_(
            "New instances get this app. Existing ones keep theirs. The first app of an element is the default one."
        ),
    )

    class Meta:
        model = OAuthApp
        fields = [
            "organization",
            "element",
            "name",
            "shared_with",
            "client_id",
            "secret_ends_on",
            "callback_url",
            "scope",
            "hosts",
        ]
        field_classes = {"hosts": HostsField}
        help_texts = {
            "client_id": _(
                "Of the app that you registered with the provider. How to: docs/howto/register-an-app.md."
            ),
            "callback_url": _("As registered with the provider. Defaults to the URL above."),
            "scope": _("Defaults to the element's scopes."),
        }

    def clean_name(self) -> str:
        return trimmed(self.cleaned_data["name"])

    def clean_client_id(self) -> str:
        return self._trimmed("client_id")

    def clean_scope(self) -> str:
        return self._trimmed("scope")

    def clean_new_client_secret(self) -> str:
        return self._trimmed("new_client_secret")

    def _trimmed(self, name: str) -> str:
        entered: str = self.cleaned_data[name]
        if not (text := trimmed(entered)) and self.fields[name].required:
            raise forms.ValidationError(self.fields[name].error_messages["required"])
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        moved = _WHERE_THE_SECRET_GOES & set(self.changed_data)
        is_new = self.instance._state.adding
        if moved and not is_new and not cleaned.get("new_client_secret"):
            message = _("Enter the client secret again. This change would send it to other hosts.")
            self.add_error("new_client_secret", message)
        return cleaned

    def clean_element(self) -> Element:
        element: Element = self.cleaned_data["element"]
        if not any(way.takes_oauth_app for way in element.parsed.authentication):
            raise forms.ValidationError(_("This element does not use an OAuth app."))
        return element


@dataclass(frozen=True)
class Move:
    """Instances of one app that could use another one."""

    source: OAuthApp
    target: OAuthApp

    @cached_property
    def count(self) -> int:
        return movable_instances(self.source, self.target)[:MAX_COUNTED].count()

    @property
    def keeps_working(self) -> bool:
        return self.source.client_id == self.target.client_id


class MoveForm(forms.Form):
    """From which app, and how many instances."""

    count = forms.IntegerField(
        min_value=1,
        max_value=MAX_MOVED,
        error_messages={"invalid": _("Enter how many instances to move.")},
    )

    def __init__(self, moves: list[Move], data: Any) -> None:
        super().__init__(data)
        by_id = {str(move.source.pk): move for move in moves}
        self.fields["source"] = forms.TypedChoiceField(
            choices=[(pk, pk) for pk in by_id], coerce=by_id.__getitem__
        )


class SecretEndFilter(DropdownFilter):
    title = _("client secret")
    parameter_name = "secret"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("ended", _("Ended")), ("ending", _("Ends within 30 days, or ended"))]

    def queryset(self, request: HttpRequest, queryset: OAuthAppQuerySet) -> OAuthAppQuerySet:
        today = timezone.localdate()
        days = {"ended": today, "ending": today + WARNED_BEFORE}
        day = days.get(self.value() or "")
        return queryset.ending_by(day) if day else queryset


@admin.register(OAuthApp)
class OAuthAppAdmin(ModelAdmin):
    form = OAuthAppForm
    change_form_template = "admin/instances/oauth_app.html"
    list_display = [
        "element",
        "organization",
        "name",
        "is_default",
        "client_id",
        "secret_end",
        "callback_address",
    ]
    list_select_related = ["element", "organization"]
    list_filter = [SecretEndFilter, ("organization", SelectFilter)]
    list_filter_submit = True
    search_fields = ["element__key", "element__name", "organization__name", "client_id"]
    autocomplete_fields = ["organization", "element"]
    readonly_fields = ["default_callback", "client_secret_state"]
    fields = [
        "organization",
        "element",
        "name",
        "make_default",
        "client_id",
        "client_secret_state",
        "new_client_secret",
        "secret_ends_on",
        "default_callback",
        "callback_url",
        "scope",
        "hosts",
        "shared_with",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OAuthApp]:
        organizations = Organization.objects.operated_by(request.user)
        return super().get_queryset(request).filter(organization__in=organizations)

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        if db_field.name == "organization":
            kwargs["queryset"] = Organization.objects.operated_by(request.user)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: OAuthApp | None = None) -> list[str]:
        hidden = set() if obj else {"client_secret_state"}
        if not request.user.is_superuser:
            # The operators of one organization do not decide for another.
            hidden.add("shared_with")
        return [name for name in self.fields if name not in hidden]

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        *args: Any,
        obj: OAuthApp | None = None,
        **kwargs: Any,
    ) -> HttpResponse:
        if obj:
            context |= {
                "effect_columns": [_("Change"), _("Instances"), _("What happens")],
                "effects": [_effect_cells(effect) for effect in effects_on(obj)],
                "notices": _end_notices(obj),
                "users_url": list_url(oauth_app=obj.pk),
                "moves": self._moves_to(request, obj),
            }
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def _moves_to(self, request: HttpRequest, target: OAuthApp) -> list[Move]:
        """Return the apps whose instances can be moved to this one."""
        if not self.has_change_permission(request, target):
            return []
        others = self.get_queryset(request).filter(pk__in=movable_apps(target).values("pk"))
        others = others.select_related("element", "organization").order_by("name", "pk")
        moves = [Move(app, target) for app in others[:MAX_SOURCES]]
        return [move for move in moves if move.count]

    def get_urls(self) -> list[URLPattern]:
        move = path(
            "<int:pk>/move/",
            self.admin_site.admin_view(require_POST(self.move_view)),
            name="instances_oauthapp_move",
        )
        return [move, *super().get_urls()]

    def move_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Move some instances of another app to this one."""
        target = self.get_object(request, str(pk))
        if target is None or not self.has_change_permission(request, target):
            raise PermissionDenied
        form = MoveForm(self._moves_to(request, target), request.POST)
        if not form.is_valid():
            sentences = [str(error) for errors in form.errors.values() for error in errors]
            messages.error(request, " ".join(sentences))
        else:
            source = form.cleaned_data["source"].source
            moved = move_to_app(source, target, count=form.cleaned_data["count"])
            text = ngettext(
                "%(count)d instance was moved.", "%(count)d instances were moved.", moved
            )
            messages.success(request, text % {"count": moved})
            self.log_change(request, target, f"Moved {moved} instances from {source}.")
        return redirect("admin:instances_oauthapp_change", pk)

    @admin.display(description=_("client secret ends"), ordering="secret_ends_on")
    def secret_end(self, app: OAuthApp) -> str:
        return _end_sentence(app)

    def save_model(
        self, request: HttpRequest, obj: OAuthApp, form: OAuthAppForm, change: bool
    ) -> None:
        if entered := form.cleaned_data["new_client_secret"]:
            obj.client_secret = entered
        others = OAuthApp.objects.filter(organization=obj.organization, element=obj.element)
        others = others.exclude(pk=obj.pk)
        obj.is_default = not others.filter(is_default=True).exists()
        with transaction.atomic():
            if form.cleaned_data.get("make_default"):
                make_default(obj)
            super().save_model(request, obj, form, change)
            if change:
                keep_a_default(form.initial["organization"], form.initial["element"])

    def delete_model(self, request: HttpRequest, obj: OAuthApp) -> None:
        with transaction.atomic():
            super().delete_model(request, obj)
            keep_a_default(obj.organization_id, obj.element_id)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[OAuthApp]) -> None:
        with transaction.atomic():
            places = list(queryset.values_list("organization", "element"))
            super().delete_queryset(request, queryset)
            for place in places:
                keep_a_default(*place)

    @admin.display(description=_("callback URL"))
    def callback_address(self, app: OAuthApp) -> str:
        return app.callback_url or default_callback_url()

    @admin.display(description=_("default callback URL"))
    def default_callback(self, app: Any) -> str:
        return default_callback_url()

    @admin.display(description=_("stored client secret"))
    def client_secret_state(self, app: OAuthApp) -> str:
        return secret_state(app, "client_secret")


def _effect_cells(effect: Effect) -> list[dict[str, Any]]:
    is_bounded = effect.count == MAX_COUNTED
    count = f"{effect.count:,}+" if is_bounded else f"{effect.count:,}"
    return [
        {"text": effect.what},
        {"text": count, "label": _("Instances")},
        {"text": effect.text, "label": _("What happens")},
    ]


def _end_sentence(app: OAuthApp) -> str:
    """Say when the client secret ends or ended; empty if nobody entered it."""
    if app.secret_ends_on is None:
        return ""
    days = (app.secret_ends_on - timezone.localdate()).days
    day = date_format(app.secret_ends_on)
    if days <= 0:
        return gettext("Ended on %(day)s") % {"day": day}
    if days > WARNED_BEFORE.days:
        return day
    text = ngettext("%(day)s, in %(days)d day", "%(day)s, in %(days)d days", days)
    return text % {"day": day, "days": days}


def _end_notices(app: OAuthApp) -> list[Notice]:
    if app.secret_ends_on is None or app.secret_ends_on > timezone.localdate() + WARNED_BEFORE:
        return []
    has_ended = app.secret_ends_on <= timezone.localdate()
    title = (
        gettext("The client secret has ended.")
        if has_ended
        else gettext("The client secret ends soon.")
    )
    text = gettext(
        "Create a new one at the provider, and enter it here with its end date before the old one stops working."
    )
    return [Notice(title, f"{_end_sentence(app)}. {text}", "broken" if has_ended else "attention")]
