"""OAuth apps: clients that operators registered with providers."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from instances.admin.hosts import HostsField
from instances.models import Element, OAuthApp, Organization
from instances.pages.admin_pages import ModelAdmin, SecretInput, secret_state
from instances.pages.reach import SelectFilter
from instances.pasted import trimmed
from instances.provisioning.plan import default_callback_url

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

    class Meta:
        model = OAuthApp
        fields = ["organization", "element", "client_id", "callback_url", "scope", "hosts"]
        field_classes = {"hosts": HostsField}
        help_texts = {
            "callback_url": _("As registered with the provider. Defaults to the URL above."),
            "scope": _("Defaults to the element's scopes."),
        }

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


@admin.register(OAuthApp)
class OAuthAppAdmin(ModelAdmin):
    form = OAuthAppForm
    list_display = ["element", "organization", "client_id", "callback_address"]
    list_select_related = ["element", "organization"]
    list_filter = [("organization", SelectFilter)]
    list_filter_submit = True
    search_fields = ["element__key", "element__name", "organization__name", "client_id"]
    autocomplete_fields = ["organization", "element"]
    readonly_fields = ["default_callback", "client_secret_state"]
    fields = [
        "organization",
        "element",
        "client_id",
        "client_secret_state",
        "new_client_secret",
        "default_callback",
        "callback_url",
        "scope",
        "hosts",
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
        return [name for name in self.fields if obj or name != "client_secret_state"]

    def save_model(
        self, request: HttpRequest, obj: OAuthApp, form: OAuthAppForm, change: bool
    ) -> None:
        if entered := form.cleaned_data["new_client_secret"]:
            obj.client_secret = entered
        super().save_model(request, obj, form, change)

    @admin.display(description=_("callback URL"))
    def callback_address(self, app: OAuthApp) -> str:
        return app.callback_url or default_callback_url()

    @admin.display(description=_("default callback URL"))
    def default_callback(self, app: Any) -> str:
        return default_callback_url()

    @admin.display(description=_("stored client secret"))
    def client_secret_state(self, app: OAuthApp) -> str:
        return secret_state(app, "client_secret")
