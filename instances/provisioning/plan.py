"""Plan a connection: way of authentication, OAuth app and configuration.

Everything here is decided from values alone, before anything is stored or sent. What a platform is called with is in
`platform_requests`.
"""

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
from instances.platforms.base import PlatformRequest, code_in
from instances.redaction import storable
from instances.wire import InstanceBody

MAX_VALUE_CHARACTERS = 20_000
OAUTH_APP_KEYS = ("oauth.api.key", "oauth.api.secret", "oauth.callback.url")
# Tokens that a caller obtained elsewhere are part of the configuration. One of the OAuth 2.0 tokens is enough
# (contract 7.4); OAuth 1.0a needs both of its own.
TOKEN_KEYS = ("oauth.user.token", "oauth.user.refresh_token")
OAUTH1_TOKEN_KEYS = ("oauth.user.token", "oauth.user.token.secret")


def choose_authentication(
    definition: ElementDefinition,
    configuration: Mapping[str, Any],
    provider_data: Mapping[str, str],
) -> str:
    """Choose the kind of authentication that a body asks for (contract 7.2).

    `authentication.type` decides. Without it: OAuth 1.0a if there is a verifier, OAuth 2.0 if there is a code, else the
    first way without a browser whose required keys are all given. If none is, OAuth, so that the error names the
    missing code.
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
    """Return the URL of this program's own OAuth callback."""
    return f"{settings.PUBLIC_URL}/oauth/callback"


def normalise_configuration(
    definition: ElementDefinition, authentication: AuthenticationType, given: Mapping[str, Any]
) -> dict[str, str]:
    """Convert the given values to strings, as the API returns them (contract 5).

    Empty values and masks are left out; unknown keys are kept (contract 1).

    Raises InvalidConfigurationError for the first invalid value.
    """
    types = {name: field.type for field in authentication.fields for name in field.names}
    options = {field.key: field.options for field in authentication.fields if field.options}
    normalised = {}
    for key, value in given.items():
        if storable(key) != key:
            raise InvalidConfigurationError(
                storable(key), "the key contains a character that cannot be stored."
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
    """Return whether this way of authentication needs an OAuth client."""
    return authentication.obtains_token


def has_oauth_app(
    organization: Organization, element: Element, authentication: AuthenticationType
) -> bool:
    """Return whether the organization has an OAuth app that supplies the client."""
    apps = OAuthApp.objects.filter(organization=organization, element=element)
    return takes_oauth_app(authentication) and apps.exists()


def with_oauth_app(
    organization: Organization,
    element: Element,
    authentication: AuthenticationType,
    configuration: Mapping[str, Any],
) -> dict[str, Any]:
    """Add the organization's OAuth app if the configuration has no client of its own."""
    app = oauth_app_for(organization, element, authentication, configuration)
    return completed_by(app, authentication, configuration)


def oauth_app_for(
    organization: Organization,
    element: Element,
    authentication: AuthenticationType,
    configuration: Mapping[str, Any],
) -> OAuthApp | None:
    """Return the organization's OAuth app if the configuration needs its client."""
    if not takes_oauth_app(authentication) or configuration.get("oauth.api.key"):
        return None
    return OAuthApp.objects.filter(organization=organization, element=element).first()


def completed_by(
    app: OAuthApp | None, authentication: AuthenticationType, configuration: Mapping[str, Any]
) -> dict[str, Any]:
    """Add the client of this OAuth app, if any, to the configuration."""
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
    """Check that every required key is there (contract 7.5).

    A remote platform may have an OAuth app of its own, so only that platform can tell whether a client is missing.

    Raises MissingConfigurationError, which names every missing key.
    """
    held_elsewhere = OAUTH_APP_KEYS if organization.is_remote else ()
    missing = authentication.missing_keys(configuration)
    if needed := [key for key in missing if key not in held_elsewhere]:
        raise MissingConfigurationError(needed)


def lacks_code(way: AuthenticationType, given: InstanceBody | PlatformRequest) -> bool:
    """Return whether an authorization code is required and missing."""
    has_tokens = given.external_authentication == Instance.ExternalAuthentication.INITIAL
    return way.needs_browser and not code_in(given.provider_data) and not has_tokens


def split_secrets(
    definition: ElementDefinition, configuration: Mapping[str, str]
) -> dict[str, Any]:
    """Split a configuration into columns: queryable plain keys and sealed secrets."""
    secret = {key: value for key, value in configuration.items() if definition.is_secret(key)}
    return {
        "configuration": {k: v for k, v in configuration.items() if k not in secret},
        "secret_configuration": secret,
        "secret_keys": sorted(secret),
    }


def authentication_of(
    instance: Instance, configuration: Mapping[str, Any] | None = None
) -> AuthenticationType:
    """Return the instance's way of authentication, in the variant that is configured.

    configuration: chooses the variant in place of the stored configuration.
    """
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
        raise InvalidConfigurationError(key, "contains a character that cannot be stored.")
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
