"""Forms shared by the admin and self-service: an instance's configuration, its name and tags, and the sign-in."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy as _

from instances import passwords
from instances.catalogue.authentication import OAUTH_CLIENT_KEYS, VARIANT_KEY, AuthenticationType
from instances.catalogue.configuration_keys import ConfigurationKey, KeyType
from instances.errors import (
    InputError,
    InvalidConfigurationError,
    MissingConfigurationError,
    SecretsNeededAgainError,
    TooManyAttemptsError,
    UnreadableSecretError,
)
from instances.models import Instance, OAuthApp
from instances.provisioning.configuration import MAX_VALUE_CHARACTERS
from instances.provisioning.plan import default_callback_url

WAY_LABELS = {
    "oauth2": _("OAuth 2.0"),
    "oauth1": _("OAuth 1.0a"),
    "custom": _("Custom"),
    "basic": _("Username and password"),
    "apiKey": _("API key"),
    "oauth2Application": _("OAuth 2.0 as an application"),
    "oauth2AppSecret": _("OAuth 2.0 as an application, with a secret"),
}
_PREFIX = "configuration."
# Follows the name of a private key's field, for the file input next to it.
_FILE = ".file"


def split_tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def is_untouched(form: forms.Form, name: str) -> bool:
    """Return whether a field still has the value that its page showed.

    Such a field is left alone, so that an open page does not undo changes by others.
    """
    return form[name].html_initial_name in form.data and name not in form.changed_data


class SecretInput(forms.PasswordInput):
    """A password input that never shows a stored value."""

    def __init__(self) -> None:
        super().__init__(attrs={"autocomplete": "new-password"}, render_value=False)


class PrivateKeyInput(forms.Textarea):
    """A private key, pasted or uploaded as a file. A stored one is never shown.

    The file is read into the same value, so that nothing but that value is kept of it.
    """

    needs_multipart_form = True

    def __init__(self) -> None:
        super().__init__(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"})

    def format_value(self, value: Any) -> str:
        return ""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        attrs = attrs or {}
        file = {"class": attrs.get("class", ""), "aria-label": gettext("Or choose its file")}
        file_input = forms.FileInput(file | {"id": f"{attrs.get('id', name)}_file"})
        pasted = super().render(name, value, attrs, renderer)
        chosen = file_input.render(name + _FILE, None, renderer=renderer)
        return format_html("{} {}", pasted, chosen)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        if uploaded := files.get(name + _FILE):
            # One byte more than is accepted, so that provisioning sees that it is too long.
            content = uploaded.read(MAX_VALUE_CHARACTERS + 1)
            try:
                return content.decode().replace("\0", "\ufffd")
            except UnicodeDecodeError:
                # A PKCS#12 file, or nothing that is a key.
                return base64.b64encode(content).decode()
        return super().value_from_datadict(data, files, name)


class PageField(forms.BoundField):
    """A field whose input has the class that our stylesheet expects."""

    def build_widget_attrs(
        self, attrs: dict[str, Any], widget: forms.Widget | None = None
    ) -> dict[str, Any]:
        is_checkbox = self.widget_type == "checkbox"
        own = {"class": "im-check" if is_checkbox else "im-input"}
        return super().build_widget_attrs(own | attrs, widget)


class KeyField(PageField):
    """The field of a configuration key, which may state what surrounds the value."""

    @property
    def key(self) -> ConfigurationKey | None:
        keys: dict[str, ConfigurationKey] = getattr(self.form, "keys", {})
        return keys.get(self.name)


class PageForm(forms.Form):
    """A form of one of our own pages."""

    bound_field_class = PageField


class RenameForm(PageForm):
    """The name and tags of an instance, which no platform or provider is involved in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"] = _name_field(required=True)
        self.fields["tags"] = _tags_field(_("Separated by commas."))
        for field in self.fields.values():
            field.show_hidden_initial = True

    @property
    def changes(self) -> dict[str, Any]:
        """Return the arguments for rename_instance()."""
        entered = self.cleaned_data | {"tags": split_tags(self.cleaned_data["tags"])}
        return {name: value for name, value in entered.items() if not is_untouched(self, name)}


class ConfigurationForm(PageForm):
    """One field for each configuration key. Secrets are entered and never shown.

    instance: an existing instance, whose values are shown and whose secrets may be left blank.
    has_oauth_app: the organization's OAuth app supplies the client, so its keys get no field.
    is_incomplete: someone else enters what is left blank.
    can_choose: what can be chosen after the consent may be left blank.
    """

    bound_field_class = KeyField

    def __init__(
        self,
        way: AuthenticationType,
        *,
        has_oauth_app: bool,
        instance: Instance | None = None,
        is_incomplete: bool = False,
        can_choose: bool = False,
        data: Mapping[str, Any] | None = None,
        files: Any = None,
    ) -> None:
        super().__init__(data, files)
        self.keys = {_PREFIX + key.key: key for key in way.fields}
        self._stored = instance.configuration if instance else {}
        # Secrets that can no longer be read must be entered again.
        lost = instance.lost_keys if instance else []
        self._stored_secrets = [] if lost or not instance else instance.secret_keys
        self._chosen_key = way.discovery.key if way.discovery and can_choose else ""
        if way.variants:
            self.fields[_PREFIX + VARIANT_KEY] = self._variant_field(way)
        for key in way.fields:
            if not (has_oauth_app and key.key in OAUTH_CLIENT_KEYS):
                self.fields[_PREFIX + key.key] = self._field_of(key)
            if password_name := key.password_names.get(key.key):
                self.fields[_PREFIX + password_name] = _password_field(key)
        for key_name in self._stored:
            if field := self.fields.get(_PREFIX + key_name):
                field.show_hidden_initial = True
        if is_incomplete:
            for field in self.fields.values():
                field.required = False

    @property
    def configuration(self) -> dict[str, str]:
        """Return the entered values by key, as strings like on the wire, without untouched fields."""
        return {
            name.removeprefix(_PREFIX): _as_text(value)
            for name, value in self.cleaned_data.items()
            if name.startswith(_PREFIX) and not is_untouched(self, name)
        }

    def keep_only(self, keys: Iterable[str]) -> None:
        """Ask for these configuration keys only."""
        kept = {_PREFIX + key for key in keys}
        for name in kept & self.keys.keys():
            kept |= {_PREFIX + password for password in self.keys[name].password_names.values()}
        self.fields = {name: field for name, field in self.fields.items() if name in kept}

    def asks_for(self, key: str) -> bool:
        return _PREFIX + key in self.fields

    def add_error_at(self, key: str, sentence: Any) -> None:
        """Add an error at the field of a configuration key."""
        self.add_error(_PREFIX + key, sentence)

    def add_refusal(self, refusal: InputError | UnreadableSecretError) -> None:
        """Add an error of provisioning at the fields that it is about."""
        if isinstance(refusal, MissingConfigurationError):
            for key in refusal.keys:
                self._add_error(key, _("This field is required."), str(refusal))
        elif isinstance(refusal, SecretsNeededAgainError):
            self._add_error(refusal.key, str(refusal), str(refusal))
            for key in filter(self.asks_for, refusal.keys):
                self.add_error_at(key, _("Enter it again for the new host."))
        elif isinstance(refusal, InvalidConfigurationError):
            self._add_error(refusal.key, str(refusal), str(refusal))
        else:
            self.add_error(None, str(refusal))

    def _add_error(self, key: str, at_field: Any, otherwise: str) -> None:
        if self.asks_for(key):
            self.add_error_at(key, at_field)
        else:
            self.add_error(None, otherwise)

    def _field_of(self, key: ConfigurationKey) -> forms.Field:
        initial = self._stored.get(key.key, key.default)
        options: dict[str, Any] = {"label": key.label, "help_text": _help_of(key)}
        if key.is_secret:
            is_stored = key.key in self._stored_secrets
            if is_stored:
                hint = gettext("Leave blank to keep the current value.")
                options["help_text"] = _joined([options["help_text"], hint])
            is_required = key.required and not is_stored
            is_file = key.type == KeyType.PRIVATE_KEY
            widget = PrivateKeyInput if is_file else SecretInput
            return forms.CharField(**options, required=is_required, strip=False, widget=widget)
        if key.type == KeyType.BOOLEAN:
            is_on = str(initial).lower() == "true"
            return forms.BooleanField(**options, required=False, initial=is_on)
        is_chosen = key.key == self._chosen_key
        options |= {"required": key.required and not is_chosen, "initial": initial}
        if is_chosen:
            hint = gettext("Leave blank to choose from a list after you sign in.")
            options["help_text"] = _joined([options["help_text"], hint])
        if key.options:
            blank = [] if key.required and initial else [("", "---------")]
            choices = [*blank, *((option, option) for option in key.options)]
            return forms.ChoiceField(**options, choices=choices)
        if key.key == "oauth.callback.url":
            options["initial"] = initial or default_callback_url()
        widgets = {KeyType.INTEGER: forms.NumberInput, KeyType.URL: forms.URLInput}
        return forms.CharField(**options, widget=widgets.get(key.type, forms.TextInput))

    def _variant_field(self, way: AuthenticationType) -> forms.ChoiceField:
        named = [(variant.name, variant.description or variant.name) for variant in way.variants]
        return forms.ChoiceField(
            label=_("Variant"),
            required=False,
            initial=self._stored.get(VARIANT_KEY),
            choices=[("", _("Standard")), *named],
            widget=forms.Select,
        )


class NewInstanceForm(ConfigurationForm):
    """A configuration with the name and tags of a new instance. oauth_apps: from which to choose, the default one first."""

    def __init__(self, *args: Any, oauth_apps: Sequence[OAuthApp] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        labels: dict[str, forms.Field] = {
            "name": _name_field(required=False),
            "tags": _tags_field(_("Separated by commas. Defaults to the name.")),
        }
        if len(oauth_apps) > 1:
            labels["oauth_app"] = forms.TypedChoiceField(
                label=_("OAuth app"),
                coerce=int,
                choices=[(app.pk, app.name or app.client_id) for app in oauth_apps],
            )
        self.fields = labels | self.fields

    @property
    def first_fields(self) -> list[forms.BoundField]:
        """Return the fields that most people fill in, and the password next to a key file."""
        first = {"name", _PREFIX + self._chosen_key}
        required = {field.name for field in self if field.name in first or field.field.required}
        for name in required & self.keys.keys():
            required |= {_PREFIX + password for password in self.keys[name].password_names.values()}
        return [field for field in self if field.name in required]

    @property
    def advanced_fields(self) -> list[forms.BoundField]:
        """Return the other fields, which a page may hide at first."""
        first = {field.name for field in self.first_fields}
        return [field for field in self if field.name not in first]


class SignInForm(AuthenticationForm):
    """Django's form, with the password check that all sign-ins share.

    retry_after_seconds: how long to wait after too many failures, otherwise 0.
    """

    bound_field_class: type[forms.BoundField] = PageField
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


def _help_of(key: ConfigurationKey) -> SafeString:
    """Say what to enter, by an example and with the provider's page about it."""
    example = format_html(gettext("Example: {}"), key.example) if key.example else ""
    link = ""
    if key.link:
        page = '<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>'
        link = format_html(page, key.link, gettext("Where to find it"))
    return _joined([key.description, example, link])


def _joined(parts: Iterable[str]) -> SafeString:
    return format_html_join(" ", "{}", ((part,) for part in parts if part))


def _password_field(key: ConfigurationKey) -> forms.CharField:
    return forms.CharField(
        label=_("%(key)s: password of its file") % {"key": key.label},
        help_text=_("Only for a key file with a password (.p12, .pfx). It is not stored."),
        required=False,
        strip=False,
        widget=SecretInput,
    )


def _name_field(*, required: bool) -> forms.CharField:
    return forms.CharField(
        label=_("Name"),
        max_length=200,
        required=required,
        help_text="" if required else _("Defaults to the element's name."),
    )


def _tags_field(help_text: Any) -> forms.CharField:
    return forms.CharField(label=_("Tags"), required=False, help_text=help_text)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
