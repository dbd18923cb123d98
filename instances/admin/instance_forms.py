"""Forms of instances: what to connect, and its configuration as the element's definition asks for it."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminURLInputWidget,
    UnfoldBooleanWidget,
)

from instances.admin.pages import SecretInput
from instances.catalogue.configuration_keys import ConfigurationKey, KeyType
from instances.catalogue.definition import VARIANT_KEY, AuthenticationType
from instances.errors import InputError, InvalidConfigurationError, MissingConfigurationError
from instances.models import Element, Instance, OrganizationUser
from instances.provisioning.configuration import default_callback_url

# What an OAuth app stands in for.
OAUTH_APP_KEYS = frozenset(
    {"oauth.api.key", "oauth.api.secret", "oauth.callback.url", "oauth.scope"}
)
_PREFIX = "configuration."
_TAGS_HELP = _("Separated by commas.")


def split_tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


class ChoiceForm(forms.Form):
    """Whose account at which element is to be connected."""

    organization_user = forms.ModelChoiceField(
        OrganizationUser.objects.select_related("organization"), label=_("Organization user")
    )
    element = forms.ModelChoiceField(
        Element.objects.active(),
        label=_("Element"),
        help_text=_("Search by name, key or hub."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            source = Instance._meta.get_field(name)
            field.widget = AutocompleteSelect(source, admin.site)
            field.widget.choices = field.choices  # type: ignore[attr-defined]


class RenameForm(forms.Form):
    """The two things about an instance that no platform has a say in."""

    name = forms.CharField(label=_("Name"), max_length=200, widget=UnfoldAdminTextInputWidget)
    tags = forms.CharField(
        label=_("Tags"), required=False, help_text=_TAGS_HELP, widget=UnfoldAdminTextInputWidget
    )


class ConfigurationForm(forms.Form):
    """One field a configuration key; a secret goes in and never comes back out.

    stored: the plain values of an instance that is there already; its secrets may then be left empty.
    has_oauth_app: the organization's OAuth app supplies what it can, so nobody is asked for it.
    """

    def __init__(
        self,
        way: AuthenticationType,
        *,
        has_oauth_app: bool,
        stored: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data)
        if way.variants:
            self.fields[_PREFIX + VARIANT_KEY] = _variant_field(way, stored or {})
        for key in way.fields:
            if not (has_oauth_app and key.key in OAUTH_APP_KEYS):
                self.fields[_PREFIX + key.key] = _field_of(key, stored)

    @property
    def configuration(self) -> dict[str, str]:
        """What was entered, by key, as the wire has it: strings."""
        return {
            name.removeprefix(_PREFIX): _as_text(value)
            for name, value in self.cleaned_data.items()
            if name.startswith(_PREFIX)
        }

    def add_refusal(self, refusal: InputError) -> None:
        """Put what a verb refused beside the fields that it is about."""
        if isinstance(refusal, MissingConfigurationError):
            for key in refusal.keys:
                self._complain(key, _("This is required."), str(refusal))
        elif isinstance(refusal, InvalidConfigurationError):
            self._complain(refusal.key, str(refusal), str(refusal))
        else:
            self.add_error(None, str(refusal))

    def _complain(self, key: str, beside: Any, otherwise: str) -> None:
        field = _PREFIX + key
        self.add_error(
            field if field in self.fields else None, beside if field in self.fields else otherwise
        )


class NewInstanceForm(ConfigurationForm):
    """A configuration, and what the instance is called."""

    name = forms.CharField(
        label=_("Name"),
        max_length=200,
        required=False,
        help_text=_("Empty: the element's name."),
        widget=UnfoldAdminTextInputWidget,
    )
    tags = forms.CharField(
        label=_("Tags"),
        required=False,
        help_text=_("Separated by commas. Empty: the name."),
        widget=UnfoldAdminTextInputWidget,
    )


def _field_of(key: ConfigurationKey, stored: Mapping[str, Any] | None) -> forms.Field:
    initial = (stored or {}).get(key.key, key.default)
    about: dict[str, Any] = {"label": key.label, "help_text": key.description}
    if key.secret or key.type == KeyType.PASSWORD:
        if stored is not None:
            about["help_text"] = f"{key.description} {_('Empty: unchanged.')}".strip()
        return forms.CharField(
            **about, required=key.required and stored is None, strip=False, widget=SecretInput
        )
    if key.type == KeyType.BOOLEAN:
        is_on = str(initial).lower() == "true"
        return forms.BooleanField(
            **about, required=False, initial=is_on, widget=UnfoldBooleanWidget
        )
    if key.options:
        blank = [] if key.required and initial else [("", "---------")]
        return forms.ChoiceField(
            **about,
            required=key.required,
            initial=initial,
            choices=[*blank, *((option, option) for option in key.options)],
            widget=UnfoldAdminSelectWidget,
        )
    if key.key == "oauth.callback.url":
        initial = initial or default_callback_url()
    widgets = {
        KeyType.INTEGER: UnfoldAdminIntegerFieldWidget,
        KeyType.URL: UnfoldAdminURLInputWidget,
    }
    return forms.CharField(
        **about,
        required=key.required,
        initial=initial,
        widget=widgets.get(key.type, UnfoldAdminTextInputWidget),
    )


def _variant_field(way: AuthenticationType, stored: Mapping[str, Any]) -> forms.ChoiceField:
    named = [(variant.name, variant.description or variant.name) for variant in way.variants]
    return forms.ChoiceField(
        label=_("Variant"),
        required=False,
        initial=stored.get(VARIANT_KEY),
        choices=[("", _("Standard")), *named],
        widget=UnfoldAdminSelectWidget,
    )


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
