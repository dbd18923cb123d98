"""Where an instance's secrets may be sent: the operators' lists, and the hosts that secrets were entered for."""

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings

from instances.catalogue.definition import AuthenticationType
from instances.catalogue.hosts import (
    AllowedHosts,
    NamedHost,
    is_listed,
    is_providers,
    named_hosts,
    refused_host,
)
from instances.catalogue.templates import overridden
from instances.errors import HostNotAllowedError, SecretsNeededAgainError
from instances.models import Element, Instance, OAuthApp, Organization
from instances.provisioning.plan import authentication_of

# Tokens that a caller obtained elsewhere are kept among the configuration, too (contract 7.4).
_TOKEN_KEYS = {"oauth.user.token", "oauth.user.token.secret", "oauth.user.refresh_token"}


def allowed_hosts(
    organization: Organization, element: Element, app: OAuthApp | None, own: Collection[NamedHost]
) -> AllowedHosts:
    """app: the OAuth app whose client is used, if any. own: the hosts that the account's own secrets belong to."""
    listed = tuple(organization.private_hosts.get(element.key, ()))
    if app is None:
        return AllowedHosts(listed, frozenset(own))
    return AllowedHosts((*listed, *app.hosts))


def hosts_in(
    organization: Organization,
    element: Element,
    way: AuthenticationType,
    configuration: Mapping[str, Any],
) -> set[NamedHost]:
    """The hosts that a configuration makes of the element's URL templates.

    A host that the element's file or an endpoint override names by itself is none of them.
    """
    templates = _templates(organization, element, way)
    return set(named_hosts(templates, way.values_of(configuration)))


def own_hosts(instance: Instance) -> set[NamedHost]:
    """The hosts that the instance's stored secrets belong to."""
    if instance.secret_hosts is not None:
        return {NamedHost(host, tuple(names)) for host, *names in instance.secret_hosts}
    return _hosts_of(instance, instance.readable_configuration())


def host_columns(hosts: Collection[NamedHost]) -> dict[str, Any]:
    """As own_hosts() reads them."""
    return {"secret_hosts": sorted([one.host, *one.names] for one in hosts)}


def require_allowed_hosts(
    organization: Organization,
    element: Element,
    way: AuthenticationType,
    configuration: Mapping[str, Any],
    allowed: AllowedHosts,
) -> None:
    """Raises HostNotAllowedError for the first host that no request may go to, a remote platform's included."""
    templates, values = _templates(organization, element, way), way.values_of(configuration)
    if refused := refused_host(way, templates, values, allowed=allowed):
        raise HostNotAllowedError(*refused, element.name)


def require_secrets_again(
    instance: Instance,
    changed: Mapping[str, Any],
    given: Collection[str],
    *,
    is_authorizing: bool,
) -> None:
    """Raises SecretsNeededAgainError where the changed configuration would send a stored secret to another host.

    given: the keys that came with the request that changes it. is_authorizing: new tokens replace the stored ones.
    """
    moved = [one for one in moved_hosts(instance, changed) if not _was_left_open(instance, one)]
    if not moved:
        return
    first = min(moved, key=lambda one: one.names)
    sent = authentication_of(instance, changed).sent_keys | _TOKEN_KEYS
    kept = [name for name in instance.secret_keys if name in sent and name not in given]
    holds_tokens = instance.tokens or _are_tokens_elsewhere(instance)
    if kept or (holds_tokens and not is_authorizing):
        raise SecretsNeededAgainError(first.names[0], first.host, kept)


def moved_hosts(instance: Instance, changed: Mapping[str, Any]) -> set[NamedHost]:
    """The hosts of a changed configuration that the stored secrets do not belong to.

    What the element's file says by default, where nothing is configured, is not the account's to change.
    """
    stored = instance.readable_configuration()
    by_default = {key: value for key, value in stored.items() if key not in _host_keys(instance)}
    default = _hosts_of(instance, stored) & _hosts_of(instance, by_default)
    return _hosts_of(instance, changed) - own_hosts(instance) - default


def hosts_to_store(instance: Instance, changed: Mapping[str, Any]) -> set[NamedHost]:
    """The hosts that the secrets of a configuration belong to once it is stored."""
    hosts, known = _hosts_of(instance, changed), own_hosts(instance)
    stored = instance.readable_configuration()
    is_same = all(stored.get(key) == changed.get(key) for key in _secret_keys(instance, changed))
    return known if is_same and hosts <= known else hosts


def _are_tokens_elsewhere(instance: Instance) -> bool:
    """Whether a remote platform has tokens for it, which it would send to the host that it is told."""
    way = authentication_of(instance)
    return instance.organization.is_remote and instance.has_token and way.obtains_token


def _was_left_open(instance: Instance, named: NamedHost) -> bool:
    """Whether an instance that was never connected had no such host yet, and it is one of the provider's, or listed:
    then whoever entered the secrets left it open, as for an account's holder who comes by a link.
    """
    way = authentication_of(instance)
    had = way.values_of(instance.configuration)
    listed = instance.organization.private_hosts.get(instance.element_key, ())
    is_known = is_listed(named.host, listed) or all(
        is_providers(way, name, named.host) for name in named.names
    )
    is_new = not (instance.tokens or _are_tokens_elsewhere(instance))
    return is_known and is_new and any(name not in had for name in named.names)


def _secret_keys(instance: Instance, changed: Mapping[str, Any]) -> set[str]:
    is_secret = instance.element.parsed.is_secret
    return {*instance.secret_keys, *(key for key in changed if is_secret(key))}


def _host_keys(instance: Instance) -> set[str]:
    way = authentication_of(instance)
    aliases = {
        alias for field in way.fields if field.key in way.host_keys for alias in field.aliases
    }
    return {*way.host_keys, *aliases}


def _hosts_of(instance: Instance, configuration: Mapping[str, Any]) -> set[NamedHost]:
    way = authentication_of(instance, configuration)
    return hosts_in(instance.organization, instance.element, way, configuration)


def _templates(organization: Organization, element: Element, way: AuthenticationType) -> list[str]:
    overrides = organization.endpoint_overrides.get(element.key, {})
    return [
        overridden(template, overrides, public_url=settings.PUBLIC_URL)
        for _, template in way.url_templates()
    ]
