"""Hand out the credential of an instance, for programs that call the provider themselves (contract for hubs, 12.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from instances import counters
from instances.catalogue.authentication import ACCESS_TOKEN, AuthenticationType
from instances.catalogue.parts import Api, Probe, ProbeScheme
from instances.catalogue.templates import variables_in
from instances.errors import InvalidCallError, PermissionRefusedError
from instances.hubs.calls import require_usable
from instances.models import Instance
from instances.platforms.base import PlatformRequest
from instances.platforms.embedded.calling import base_url_of
from instances.platforms.embedded.templates import headers_of, values_of
from instances.provisioning.access.tokens import record_reveal
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.lifecycle.schedule import can_refresh
from instances.provisioning.platform_requests import platform_request

MAX_LIFETIME = timedelta(days=1)
# Tokens that were refreshed so recently are handed out as they are, even if all tokens of a provider end sooner than
# is asked for: another refresh would not help.
REFRESHED_RECENTLY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access token or an API key, and where it is used.

    scheme: "bearer" or "apiKey". headers: those that carry it. base_url: empty if the element's file states none.
    expires_at: aware, UTC; None if it does not end, or that is not known.
    """

    scheme: str
    base_url: str
    access_token: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    expires_at: datetime | None = None


def read_credentials(instance: Instance, *, minimum_lifetime: timedelta, actor: str) -> Credentials:
    """Return the credential of an instance, and record who asked.

    Tokens that end sooner than minimum_lifetime are refreshed first, if that is possible, and at most once in
    REFRESHED_RECENTLY.

    Raises PermissionRefusedError unless an operator allowed it to the organization user, InstanceUnusableError,
    InvalidCallError for other credentials than an access token or an API key, UnreadableSecretError, and PlatformError
    if the refresh fails.
    """
    if not instance.organization_user.may_read_credentials:
        raise PermissionRefusedError(
            "This organization user may not read credentials. Ask an operator to allow it on its page."
        )
    require_usable(instance)
    if instance.organization.is_remote:
        raise InvalidCallError("This instance is on a remote platform, which masks its secrets.")
    key_of_credential(instance.authentication)
    instance = _with_lifetime(instance, minimum_lifetime, actor=actor)
    credentials = _credentials_of(instance, platform_request(instance, actor=actor))
    record_reveal("read credentials", instance, actor=actor)
    return credentials


def key_of_credential(way: AuthenticationType) -> str:
    """Return the variable of the credential that calls carry: the access token, or the key that holds an API key.

    Raises InvalidCallError if calls carry anything else, such as a password.
    """
    carrying = way.api_credentials
    if carrying and carrying.scheme == ProbeScheme.BEARER:
        return ACCESS_TOKEN
    names = _names_in_headers(carrying)
    if carrying and carrying.scheme == ProbeScheme.HEADERS and len(names) == 1:
        [name] = names
        if name not in {*way.client_keys, way.password_key}:
            return name
    raise InvalidCallError(
        "Only access tokens and API keys can be read. Use the proxy, which sends this element's credentials for you."
    )


def _names_in_headers(carrying: Probe | Api | None) -> list[str]:
    templates = carrying.headers.values() if carrying else []
    return list(dict.fromkeys(name for template in templates for name in variables_in(template)))


def _with_lifetime(instance: Instance, minimum_lifetime: timedelta, *, actor: str) -> Instance:
    tokens = platform_request(instance, actor=actor).tokens
    if tokens is None or not can_refresh(instance.authentication, tokens):
        return instance
    ends, recently = tokens.expires_at, f"credentials-refreshed:{instance.pk}"
    lifetime = timedelta(0) if counters.current(recently) else minimum_lifetime
    is_long_enough = ends is None or ends > timezone.now() + lifetime
    if tokens.access_token and is_long_enough:
        return instance
    refreshed = refresh_instance(instance, actor=actor)
    counters.remember(recently, seconds=int(REFRESHED_RECENTLY.total_seconds()))
    refreshed.organization_user, refreshed.element = instance.organization_user, instance.element
    return refreshed


def _credentials_of(instance: Instance, request: PlatformRequest) -> Credentials:
    way = request.authentication
    name, carrying = key_of_credential(way), way.api_credentials
    is_bearer = carrying is not None and carrying.scheme == ProbeScheme.BEARER
    templates = carrying.headers if carrying else {}
    filled = {header: text for header, text in templates.items() if variables_in(text)}
    if is_bearer:
        filled["Authorization"] = f"Bearer {{{ACCESS_TOKEN}}}"
    return Credentials(
        scheme="bearer" if is_bearer else "apiKey",
        base_url=base_url_of(request) if way.api else "",
        access_token=values_of(request)[name],
        headers=headers_of(request, filled),
        expires_at=instance.expires_at if name in {ACCESS_TOKEN, *_session_secrets(way)} else None,
    )


def _session_secrets(way: AuthenticationType) -> tuple[str, ...]:
    return way.lookup.secrets if way.lookup else ()
