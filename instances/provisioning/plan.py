"""An instance's configuration: checked against its element, and complete enough for a platform."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from instances.catalogue.configuration_keys import MASK, KeyType
from instances.catalogue.definition import (
    AuthenticationKind,
    AuthenticationType,
    ElementDefinition,
)
from instances.errors import InvalidConfigurationError, MissingConfigurationError
from instances.models import Element, Instance, OAuthApp, Organization
from instances.redaction import storable

MAX_VALUE_CHARACTERS = 20_000
OAUTH_APP_KEYS = ("oauth.api.key", "oauth.api.secret", "oauth.callback.url")


def choose_authentication(
    definition: ElementDefinition,
    configuration: Mapping[str, Any],
    provider_data: Mapping[str, str],
) -> str:
    """The kind of authentication that a body means (contract 7.2).

    What `authentication.type` names; else OAuth 1.0a with a verifier, OAuth 2.0 with a code; else the way without
    a browser whose required keys are there; else OAuth, so that its missing code is what is complained about.
    """
    if named := configuration.get("authentication.type"):
        return str(named)
    has_verifier = "oauth_verifier" in provider_data
    browser = sorted(
        (way for way in definition.authentication if way.needs_browser),
        key=lambda way: (way.type == AuthenticationKind.OAUTH1) is not has_verifier,
    )
    direct = [way for way in definition.authentication if not way.needs_browser]
    complete = [way for way in direct if not way.missing_keys(configuration)]
    preferred = [*browser, *direct] if provider_data else [*complete, *browser, *direct]
    return str(preferred[0].type)


def default_callback_url() -> str:
    """This program's own OAuth callback."""
    return f"{settings.PUBLIC_URL}/oauth/callback"


def normalise_configuration(
    definition: ElementDefinition, authentication: AuthenticationType, given: Mapping[str, Any]
) -> dict[str, str]:
    """The given values as strings, as the wire answers them (contract 5); empty ones and masks left out.

    Unknown keys are kept (contract 1). Raises InvalidConfigurationError for the first value of a wrong form.
    """
    types = {name: field.type for field in authentication.fields for name in field.names}
    options = {field.key: field.options for field in authentication.fields if field.options}
    normalised = {}
    for key, value in given.items():
        if storable(key) != key:
            raise InvalidConfigurationError(
                storable(key), "is a key with a character that no database takes."
            )
        text = _to_text(key, value)
        if text in {"", MASK}:
            continue
        _check_form(key, text, types.get(key, KeyType.STRING))
        if key in options and text not in options[key]:
            raise InvalidConfigurationError(key, f"must be one of: {', '.join(options[key])}.")
        normalised[key] = text.lower() if types.get(key) == KeyType.BOOLEAN else text
    return normalised


def takes_oauth_app(authentication: AuthenticationType) -> bool:
    """Whether it needs an OAuth client, which an organization's OAuth app can be."""
    return authentication.obtains_token


def has_oauth_app(
    organization: Organization, element: Element, authentication: AuthenticationType
) -> bool:
    """Whether the organization's OAuth app supplies the client, so that nobody is asked for one."""
    apps = OAuthApp.objects.filter(organization=organization, element=element)
    return takes_oauth_app(authentication) and apps.exists()


def with_oauth_app(
    organization: Organization,
    element: Element,
    authentication: AuthenticationType,
    configuration: Mapping[str, Any],
) -> dict[str, Any]:
    """The configuration, completed by the organization's OAuth app where it names no client itself."""
    app = oauth_app_for(organization, element, authentication, configuration)
    return completed_by(app, authentication, configuration)


def oauth_app_for(
    organization: Organization,
    element: Element,
    authentication: AuthenticationType,
    configuration: Mapping[str, Any],
) -> OAuthApp | None:
    """The organization's OAuth app, where a client is needed and the configuration names none itself."""
    if not takes_oauth_app(authentication) or configuration.get("oauth.api.key"):
        return None
    return OAuthApp.objects.filter(organization=organization, element=element).first()


def completed_by(
    app: OAuthApp | None, authentication: AuthenticationType, configuration: Mapping[str, Any]
) -> dict[str, Any]:
    """The configuration with the client of this OAuth app, if any."""
    if app is None:
        return dict(configuration)
    client = {"oauth.api.key": app.client_id, "oauth.api.secret": app.client_secret.reveal()}
    if authentication.needs_browser:
        client["oauth.callback.url"] = app.callback_url or default_callback_url()
        if app.scope:
            client["oauth.scope"] = app.scope
    return {**client, **configuration}


def require_complete(
    organization: Organization,
    authentication: AuthenticationType,
    configuration: Mapping[str, Any],
) -> None:
    """Raises MissingConfigurationError with every missing key (contract 7.5).

    A remote platform may hold an OAuth app of its own, so whether a client is missing is for it to say.
    """
    held_elsewhere = OAUTH_APP_KEYS if organization.is_remote else ()
    missing = authentication.missing_keys(configuration)
    if needed := [key for key in missing if key not in held_elsewhere]:
        raise MissingConfigurationError(needed)


def split_secrets(
    definition: ElementDefinition, configuration: Mapping[str, str]
) -> dict[str, Any]:
    """The columns it is kept in: plain keys, which stay queryable, and secret ones, which are sealed."""
    secret = {key: value for key, value in configuration.items() if definition.is_secret(key)}
    return {
        "configuration": {k: v for k, v in configuration.items() if k not in secret},
        "secret_configuration": secret,
        "secret_keys": sorted(secret),
    }


def authentication_of(
    instance: Instance, configuration: Mapping[str, Any] | None = None
) -> AuthenticationType:
    """The instance's way of authentication, in the variant that its configuration, or this one, chooses."""
    way = instance.element.parsed.authentication_type(instance.authentication_type)
    chosen_by = instance.configuration if configuration is None else configuration
    return way.with_variant(way.variant_of(chosen_by))


def _to_text(key: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    if len(text) > MAX_VALUE_CHARACTERS:
        raise InvalidConfigurationError(key, f"is longer than {MAX_VALUE_CHARACTERS} characters.")
    if storable(text) != text:
        raise InvalidConfigurationError(key, "holds a character that no database takes.")
    return text


def _check_form(key: str, text: str, form: KeyType) -> None:
    if form == KeyType.BOOLEAN and text.lower() not in {"true", "false"}:
        raise InvalidConfigurationError(key, "must be true or false.")
    if form == KeyType.INTEGER and not text.lstrip("-").isdecimal():
        raise InvalidConfigurationError(key, "must be a whole number.")
    if form == KeyType.URL:
        try:
            parts = urlsplit(text)
            is_url = parts.scheme in {"http", "https"} and bool(parts.hostname)
        except ValueError:
            is_url = False
        if not is_url:
            raise InvalidConfigurationError(
                key, "must be a URL that begins with https:// or http://."
            )
