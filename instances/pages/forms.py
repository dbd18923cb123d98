"""Forms that entrances share: an instance's configuration as its element asks for it, its name, and the sign-in.

An entrance with a look of its own (the admin's theme) names other widgets, and nothing else.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy as _

from instances import passwords
from instances.catalogue.configuration_keys import ConfigurationKey, KeyType
from instances.catalogue.definition import OAUTH_CLIENT_KEYS, VARIANT_KEY, AuthenticationType
from instances.errors import (
    InputError,
    InvalidConfigurationError,
    MissingConfigurationError,
    SecretsNeededAgainError,
    TooManyAttemptsError,
    UnreadableSecretError,
)
from instances.models import Instance
from instances.provisioning.plan import default_callback_url

WAY_LABELS = {
    "oauth2": _("OAuth 2.0"),
    "oauth1": _("OAuth 1.0a"),
    "custom": _("Custom"),
    "basic": _("User name and password"),
    "apiKey": _("API key"),
}
_PREFIX = "configuration."


def split_tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def is_untouched(form: forms.Form, name: str) -> bool:
    """Whether a field holds what its page showed, and so leaves alone what others have changed since."""
    return form[name].html_initial_name in form.data and name not in form.changed_data


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
        for field in self.fields.values():
            field.show_hidden_initial = True

    @property
    def changes(self) -> dict[str, Any]:
        """What rename_instance() is to change."""
        entered = self.cleaned_data | {"tags": split_tags(self.cleaned_data["tags"])}
        return {name: value for name, value in entered.items() if not is_untouched(self, name)}


class ConfigurationForm(forms.Form):
    """One field a configuration key; a secret goes in and never comes back out.

    instance: one that is there already, whose values are shown, and whose secrets may be left empty.
    has_oauth_app: the organization's OAuth app supplies what it can, so nobody is asked for it.
    is_incomplete: somebody else enters what is left empty.
    """

    widgets: ClassVar[type[Widgets]] = Widgets

    def __init__(
        self,
        way: AuthenticationType,
        *,
        has_oauth_app: bool,
        instance: Instance | None = None,
        is_incomplete: bool = False,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data)
        self._stored = instance.configuration if instance else {}
        # What cannot be read any more has to be entered again.
        lost = instance.lost_keys if instance else []
        self._stored_secrets = [] if lost or not instance else instance.secret_keys
        if way.variants:
            self.fields[_PREFIX + VARIANT_KEY] = self._variant_field(way)
        for key in way.fields:
            if not (has_oauth_app and key.key in OAUTH_CLIENT_KEYS):
                self.fields[_PREFIX + key.key] = self._field_of(key)
        for key_name in self._stored:
            if field := self.fields.get(_PREFIX + key_name):
                field.show_hidden_initial = True
        if is_incomplete:
            for field in self.fields.values():
                field.required = False

    @property
    def configuration(self) -> dict[str, str]:
        """What was entered, by key, as the wire has it: strings; without what was left as the page showed it."""
        return {
            name.removeprefix(_PREFIX): _as_text(value)
            for name, value in self.cleaned_data.items()
            if name.startswith(_PREFIX) and not is_untouched(self, name)
        }

    def keep_only(self, keys: Iterable[str]) -> None:
        """Ask for these configuration keys alone."""
        kept = {_PREFIX + key for key in keys}
        self.fields = {name: field for name, field in self.fields.items() if name in kept}

    def asks_for(self, key: str) -> bool:
        return _PREFIX + key in self.fields

    def complain(self, key: str, sentence: Any) -> None:
        """Put a sentence beside the field of a configuration key."""
        self.add_error(_PREFIX + key, sentence)

    def add_refusal(self, refusal: InputError | UnreadableSecretError) -> None:
        """Put what a verb refused beside the fields that it is about."""
        if isinstance(refusal, MissingConfigurationError):
            for key in refusal.keys:
                self._complain(key, _("This is required."), str(refusal))
        elif isinstance(refusal, SecretsNeededAgainError):
            self._complain(refusal.key, str(refusal), str(refusal))
            for key in filter(self.asks_for, refusal.keys):
                self.complain(key, _("Enter it again for the new host."))
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
    """Django's, with the password check that all sign-ins share.

    retry_after_seconds: when the password is looked at again, after too many failures; else 0.
    """

    retry_after_seconds = 0

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if name is None or not password:
            return self.cleaned_data
        try:
            self.user_cache = passwords.check_password(self.request, name, password)
        except TooManyAttemptsError as error:
            self.retry_after_seconds = error.retry_after_seconds
            raise ValidationError(str(error), code="throttled") from error
        if self.user_cache is None:
            raise self.get_invalid_login_error()
        self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data


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
