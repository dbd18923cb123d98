"""Plan a connection: way of authentication, OAuth app, configuration, and what is missing.

Every entrance parses its values into one plan and hands it on. Nothing is stored or sent here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from django.conf import settings
from django.db.models import QuerySet

from instances.catalogue.authentication import AuthenticationType
from instances.catalogue.hosts import NamedHost, named_hosts
from instances.catalogue.templates import overridden
from instances.crypto import sealing
from instances.errors import MissingConfigurationError
from instances.models import Element, Instance, OAuthApp, Organization, OrganizationUser
from instances.platforms.base import code_in
from instances.provisioning.configuration import normalise_configuration
from instances.queries.prepared import Param, PreparedQuery

CALLBACK_URL_KEY = "oauth.callback.url"
OAUTH_APP_KEYS = ("oauth.api.key", "oauth.api.secret", CALLBACK_URL_KEY)
# Tokens that a caller obtained elsewhere are part of the configuration. One of the OAuth 2.0 tokens is enough
# (contract 7.4); OAuth 1.0a needs both of its own.
TOKEN_KEYS = ("oauth.user.token", "oauth.user.refresh_token")
OAUTH1_TOKEN_KEYS = ("oauth.user.token", "oauth.user.token.secret")

_OAUTH_APP = PreparedQuery(
    OAuthApp.objects.filter(
        organization_id=Param("organization"), element_id=Param("element")
    ).order_by("-is_default", "pk")
)


@dataclass(frozen=True, eq=False)
class ConnectionPlan:
    """How an account connects to an element. Contains secrets in plain text, so it is never stored."""

    organization_user: OrganizationUser
    element: Element
    # In the variant that the configuration chooses.
    authentication: AuthenticationType
    # The connection's own keys as they are stored: all are strings, and the OAuth app's client is not among them.
    own_configuration: Mapping[str, Any] = field(repr=False)
    # The keys among them that the caller has just entered.
    given: Mapping[str, Any] = field(repr=False)
    # The callback's query parameters.
    provider_data: Mapping[str, str] = field(default_factory=dict, repr=False)
    external_authentication: str = Instance.ExternalAuthentication.NONE
    # Stored secrets that cannot be decrypted and have to be entered again.
    unreadable_keys: tuple[str, ...] = ()
    # The app that was chosen; None: the organization's default one.
    oauth_app_id: int | None = None
    name: str = ""
    # Of a new instance; a stored one keeps its own.
    tags: tuple[str, ...] = ()

    @property
    def organization(self) -> Organization:
        return self.organization_user.organization

    @cached_property
    def oauth_app(self) -> OAuthApp | None:
        """The OAuth app that supplies the client, if the configuration has none of its own."""
        has_client = bool(self.own_configuration.get("oauth.api.key"))
        # The public call for OAuth URLs has no organization.
        if not self.authentication.takes_oauth_app or has_client or self.organization.pk is None:
            return None
        # Prepared: it is asked for each row of a bulk job.
        own = _OAUTH_APP.first(organization=self.organization.pk, element=self.element.pk)
        if own and self.oauth_app_id in {None, own.pk}:
            return own
        usable = oauth_apps(self.organization, self.element)
        return (usable.filter(pk=self.oauth_app_id) if self.oauth_app_id else usable).first()

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """What is sent: the own configuration, completed by the OAuth app's client.

        Raises UnreadableSecretError if the OAuth app's secret cannot be decrypted.
        """
        app = self.oauth_app
        if app is None:
            return dict(self.own_configuration)
        client = {"oauth.api.key": app.client_id, "oauth.api.secret": app.client_secret.reveal()}
        if self.authentication.needs_browser:
            client[CALLBACK_URL_KEY] = app.callback_url or default_callback_url()
            if app.scope:
                client["oauth.scope"] = app.scope
        return {**client, **self.own_configuration}

    @cached_property
    def url_templates(self) -> list[str]:
        """The element's URL templates, with the organization's endpoint overrides."""
        overrides = self.organization.endpoint_overrides.get(self.element.key, {})
        return [
            overridden(template, overrides, public_url=settings.PUBLIC_URL)
            for _, template in self.authentication.url_templates()
        ]

    @property
    def fingerprint(self) -> str:
        """A digest of what decides where tokens come from and are sent to: the configuration, client and URLs.

        Raises UnreadableSecretError if the OAuth app's secret cannot be decrypted.
        """
        return sealing.digest(json.dumps([self.configuration, self.url_templates], sort_keys=True))

    @cached_property
    def own_hosts(self) -> frozenset[NamedHost]:
        """The hosts in the URL templates that the own configuration fills in.

        Hosts that are fixed by the element's file or an endpoint override are not included.
        """
        values = self.authentication.values_of(self.own_configuration)
        return frozenset(named_hosts(self.url_templates, values))

    @property
    def missing_keys(self) -> list[str]:
        """The required keys that neither the configuration nor an OAuth app has (contract 7.5).

        A remote platform may have an OAuth app of its own, so only that platform can tell whether a client is missing.
        """
        held_elsewhere = OAUTH_APP_KEYS if self.organization.is_remote else ()
        missing = self.authentication.missing_keys(self.configuration)
        return [key for key in missing if key not in held_elsewhere]

    @property
    def needs_code(self) -> bool:
        """Whether the account owner must authorize access in a browser first."""
        has_tokens = self.external_authentication == Instance.ExternalAuthentication.INITIAL
        is_authorized = has_tokens or bool(code_in(self.provider_data))
        return self.authentication.needs_browser and not is_authorized

    def for_discovery(self) -> Self:
        """Plan the request for the list to choose from, if a key that is chosen after the consent has no value.

        A scope of the operator's own would be asked for instead of the list's, and a remote platform has no list. The
        plan itself if nothing is to be chosen.
        """
        discovery = self.authentication.discovery
        is_offered = self.needs_code and not self.organization.is_remote
        if discovery is None or not is_offered or self.configuration.get("oauth.scope"):
            return self
        is_missing = discovery.key in self.authentication.missing_keys(self.configuration)
        if not is_missing:
            return self
        return replace(self, authentication=self.authentication.for_discovery())

    def with_callback_url(self) -> Self:
        """Add this program's callback URL if neither the configuration nor the OAuth app has one."""
        if self.configuration.get(CALLBACK_URL_KEY):
            return self
        ours = {CALLBACK_URL_KEY: default_callback_url()}
        own, given = {**self.own_configuration, **ours}, {**self.given, **ours}
        return replace(self, own_configuration=own, given=given)

    def require_complete(self) -> None:
        """Raise MissingConfigurationError, which names every missing key, if one is."""
        if missing := self.missing_keys:
            raise MissingConfigurationError(missing)


def plan_connection(
    organization_user: OrganizationUser,
    element: Element,
    authentication: AuthenticationType,
    given: Mapping[str, Any],
    **fields: Any,
) -> ConnectionPlan:
    """Plan a new connection. fields: others of the plan.

    A client ID without a secret names one of the organization's OAuth apps, if there is one with it.

    Raises InvalidConfigurationError.
    """
    own = normalise_configuration(authentication, given)
    way = authentication.with_variant(authentication.variant_of(own))
    if app := _named_app(organization_user, element, way, own):
        own = {key: value for key, value in own.items() if key != "oauth.api.key"}
        fields["oauth_app_id"] = app.pk
    return ConnectionPlan(organization_user, element, way, own, own, **fields)


def _named_app(
    owner: OrganizationUser, element: Element, way: AuthenticationType, own: Mapping[str, Any]
) -> OAuthApp | None:
    client_id = own.get("oauth.api.key")
    is_named = way.takes_oauth_app and client_id and not own.get("oauth.api.secret")
    # The public call for OAuth URLs has no organization.
    if not is_named or owner.organization.pk is None:
        return None
    return oauth_apps(owner.organization, element).filter(client_id=client_id).first()


def plan_of(
    instance: Instance,
    configuration: Mapping[str, Any] | None = None,
    *,
    given: Mapping[str, Any] | None = None,
    **fields: Any,
) -> ConnectionPlan:
    """Plan the connection of a stored instance.

    configuration: in place of the stored one. given: the keys in it that were just entered. fields: others of the plan.

    Raises InvalidConfigurationError if the element does not have the way of authentication or variant, and
    UnreadableSecretError.
    """
    own = instance.full_configuration() if configuration is None else configuration
    way = instance.element.parsed.authentication_type(instance.authentication_type)
    return ConnectionPlan(
        instance.organization_user,
        instance.element,
        way.with_variant(way.variant_of(own)),
        own,
        given or {},
        external_authentication=instance.external_authentication,
        oauth_app_id=instance.oauth_app_id,
        name=instance.name,
        **fields,
    )


def plan_changes(
    instance: Instance,
    entered: Mapping[str, Any],
    *,
    provider_data: Mapping[str, str] | None = None,
) -> ConnectionPlan:
    """Plan the connection with changed keys; masks and empty values change nothing.

    Stored secrets that cannot be decrypted are left out.

    Raises InvalidConfigurationError.
    """
    way = instance.element.parsed.authentication_type(instance.authentication_type)
    given = normalise_configuration(way, entered)
    own = instance.readable_configuration() | given
    lost = {key for key in instance.lost_keys if key not in own}
    if "oauth.api.secret" in lost and has_oauth_app(instance.organization, instance.element, way):
        # No form asks for the instance's own client, so the organization's OAuth app replaces it.
        own.pop("oauth.api.key", None)
        lost -= set(OAUTH_APP_KEYS)
    return plan_of(
        instance,
        own,
        given=given,
        provider_data=provider_data or {},
        unreadable_keys=tuple(field.key for field in way.fields if field.key in lost),
    )


def default_callback_url() -> str:
    """Return the URL of this program's own OAuth callback."""
    return f"{settings.PUBLIC_URL}/oauth/callback"


def oauth_apps(organization: Organization, element: Element) -> QuerySet[OAuthApp]:
    """Select the OAuth apps that an organization may use for an element, the default one first."""
    return OAuthApp.objects.usable_by(organization, element)


def has_oauth_app(
    organization: Organization, element: Element, authentication: AuthenticationType
) -> bool:
    """Return whether the organization has an OAuth app that supplies the client."""
    return authentication.takes_oauth_app and oauth_apps(organization, element).exists()
