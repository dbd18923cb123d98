"""Forms that entrances share: an instance's configuration as its element asks for it, its name, and the sign-in.

An entrance with a look of its own (the admin's theme) names other widgets, and nothing else.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy as _

from instances import counters, crypto
from instances.catalogue.configuration_keys import ConfigurationKey, KeyType
from instances.catalogue.definition import VARIANT_KEY, AuthenticationType
from instances.errors import InputError, InvalidConfigurationError, MissingConfigurationError
from instances.models import Instance
from instances.provisioning.configuration import default_callback_url

# What an OAuth app stands in for.
OAUTH_APP_KEYS = frozenset(
    {"oauth.api.key", "oauth.api.secret", "oauth.callback.url", "oauth.scope"}
)
WAY_LABELS = {
    "oauth2": _("OAuth 2.0"),
    "oauth1": _("OAuth 1.0a"),
    "custom": _("Custom"),
    "basic": _("User name and password"),
    "apiKey": _("API key"),
}
_PREFIX = "configuration."
SIGN_IN_WINDOW_SECONDS = 15 * 60


def split_tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


class SecretInput(forms.PasswordInput):
    """An input whose value goes to the server and never comes back."""

    def __init__(self) -> None:
        super().__init__(attrs={"autocomplete": "new-password"}, render_value=False)


class Widgets:
    """The widgets that the forms here are made of."""

    text: type[forms.Widget] = forms.TextInput
    secret: type[forms.Widget] = SecretInput
    integer: type[forms.Widget] = forms.NumberInput
    url: type[forms.Widget] = forms.URLInput
    boolean: type[forms.Widget] = forms.CheckboxInput
    choice: type[forms.Select] = forms.Select


class RenameForm(forms.Form):
    """The two things about an instance that no platform has a say in."""

    widgets: ClassVar[type[Widgets]] = Widgets

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"] = _name_field(self.widgets, required=True)
        self.fields["tags"] = _tags_field(self.widgets, _("Separated by commas."))


class ConfigurationForm(forms.Form):
    """One field a configuration key; a secret goes in and never comes back out.

    instance: one that is there already, whose values are shown, and whose secrets may be left empty.
    has_oauth_app: the organization's OAuth app supplies what it can, so nobody is asked for it.
    is_partial: somebody else enters what is left empty.
    """

    widgets: ClassVar[type[Widgets]] = Widgets

    def __init__(
        self,
        way: AuthenticationType,
        *,
        has_oauth_app: bool,
        instance: Instance | None = None,
        is_partial: bool = False,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data)
        self._stored = instance.configuration if instance else {}
        self._stored_secrets = instance.secret_keys if instance else []
        if way.variants:
            self.fields[_PREFIX + VARIANT_KEY] = self._variant_field(way)
        for key in way.fields:
            if not (has_oauth_app and key.key in OAUTH_APP_KEYS):
                self.fields[_PREFIX + key.key] = self._field_of(key)
        if is_partial:
            for field in self.fields.values():
                field.required = False

    @property
    def configuration(self) -> dict[str, str]:
        """What was entered, by key, as the wire has it: strings."""
        return {
            name.removeprefix(_PREFIX): _as_text(value)
            for name, value in self.cleaned_data.items()
            if name.startswith(_PREFIX)
        }

    def keep_only(self, keys: Iterable[str]) -> None:
        """Ask for these configuration keys alone."""
        kept = {_PREFIX + key for key in keys}
        self.fields = {name: field for name, field in self.fields.items() if name in kept}

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

    def _field_of(self, key: ConfigurationKey) -> forms.Field:
        initial = self._stored.get(key.key, key.default)
        about: dict[str, Any] = {"label": key.label, "help_text": key.description}
        if key.is_secret:
            is_stored = key.key in self._stored_secrets
            if is_stored:
                about["help_text"] = f"{key.description} {gettext('Empty: unchanged.')}".strip()
            is_required = key.required and not is_stored
            return forms.CharField(
                **about, required=is_required, strip=False, widget=self.widgets.secret
            )
        if key.type == KeyType.BOOLEAN:
            is_on = str(initial).lower() == "true"
            return forms.BooleanField(
                **about, required=False, initial=is_on, widget=self.widgets.boolean
            )
        about |= {"required": key.required, "initial": initial}
        if key.options:
            blank = [] if key.required and initial else [("", "---------")]
            choices = [*blank, *((option, option) for option in key.options)]
            return forms.ChoiceField(**about, choices=choices, widget=self.widgets.choice)
        if key.key == "oauth.callback.url":
            about["initial"] = initial or default_callback_url()
        widgets = {KeyType.INTEGER: self.widgets.integer, KeyType.URL: self.widgets.url}
        return forms.CharField(**about, widget=widgets.get(key.type, self.widgets.text))

    def _variant_field(self, way: AuthenticationType) -> forms.ChoiceField:
        named = [(variant.name, variant.description or variant.name) for variant in way.variants]
        return forms.ChoiceField(
            label=_("Variant"),
            required=False,
            initial=self._stored.get(VARIANT_KEY),
            choices=[("", _("Standard")), *named],
            widget=self.widgets.choice,
        )


class NewInstanceForm(ConfigurationForm):
    """A configuration, and what the instance is called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = {
            "name": _name_field(self.widgets, required=False),
            "tags": _tags_field(self.widgets, _("Separated by commas. Empty: the name.")),
        }
        self.fields = named | self.fields

    @property
    def first_fields(self) -> list[forms.BoundField]:
        """What most people fill in; a page may put the rest out of their way."""
        return [field for field in self if field.name == "name" or field.field.required]

    @property
    def more_fields(self) -> list[forms.BoundField]:
        first = {field.name for field in self.first_fields}
        return [field for field in self if field.name not in first]


class SignInForm(AuthenticationForm):
    """Django's, which gives up for a while on a user name that failed too often from one address."""

    def clean(self) -> dict[str, Any]:
        key = self._key()
        if counters.counted(key) >= settings.SIGN_IN_FAILURES_ALLOWED:
            raise ValidationError(
                _("Too many failed sign-ins. Wait 15 minutes, or ask an administrator."),
                code="throttled",
            )
        try:
            cleaned = super().clean()
        except ValidationError:
            counters.count(key, seconds=SIGN_IN_WINDOW_SECONDS)
            raise
        counters.forget(key)
        return cleaned

    def _key(self) -> str:
        address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
        name = self.cleaned_data.get("username", "").casefold()
        return f"sign-in:{crypto.digest(f'{name} {address}')}"


def _name_field(widgets: type[Widgets], *, required: bool) -> forms.CharField:
    return forms.CharField(
        label=_("Name"),
        max_length=200,
        required=required,
        help_text="" if required else _("Empty: the element's name."),
        widget=widgets.text,
    )


def _tags_field(widgets: type[Widgets], help_text: Any) -> forms.CharField:
    return forms.CharField(
        label=_("Tags"), required=False, help_text=help_text, widget=widgets.text
    )


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
