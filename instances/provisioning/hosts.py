"""Decide which hosts an instance's secrets may be sent to.

The caller's own secrets may go to the host that they were entered for, the OAuth app's to the hosts that operators
listed.
"""

from collections.abc import Collection, Mapping
from typing import Any

from instances.catalogue.hosts import (
    AllowedHosts,
    NamedHost,
    is_listed,
    is_providers,
    refused_host,
)
from instances.errors import (
    HostNotAllowedError,
    MissingConfigurationError,
    SecretsNeededAgainError,
)
from instances.models import Instance
from instances.provisioning.plan import OAUTH1_TOKEN_KEYS, TOKEN_KEYS, ConnectionPlan, plan_of


def allowed_hosts(plan: ConnectionPlan, own: Collection[NamedHost]) -> AllowedHosts:
    """Return the hosts that a request with these secrets may go to.

    own: the hosts that the connected account's own secrets belong to. An OAuth app's secret does not go there.
    """
    listed = tuple(plan.organization.private_hosts.get(plan.element.key, ()))
    app = plan.oauth_app
    if app is None:
        return AllowedHosts(listed, frozenset(own))
    if app.organization_id != plan.organization.pk:
        # The operators of another organization do not decide where this one's secret goes.
        return AllowedHosts(tuple(app.hosts))
    return AllowedHosts((*listed, *app.hosts))


def own_hosts(instance: Instance) -> set[NamedHost]:
    """Return the hosts that the instance's stored secrets belong to."""
    if instance.secret_hosts is not None:
        return {NamedHost(host, tuple(names)) for host, *names in instance.secret_hosts}
    return _hosts_of(instance, instance.readable_configuration())


def host_columns(hosts: Collection[NamedHost]) -> dict[str, Any]:
    """Return the columns that store hosts, as own_hosts() reads them."""
    return {"secret_hosts": sorted([named.host, *named.names] for named in hosts)}


def require_allowed_hosts(plan: ConnectionPlan, allowed: AllowedHosts) -> None:
    """Check that every host of a plan is allowed, also where a remote platform sends the requests.

    Raises HostNotAllowedError for the first host that is not.
    """
    way = plan.authentication
    values = way.values_of(plan.configuration)
    if refused := refused_host(way, plan.url_templates, values, allowed=allowed):
        raise HostNotAllowedError(*refused, plan.element.name)


def require_secrets_again(
    instance: Instance, plan: ConnectionPlan, *, is_authorizing: bool
) -> None:
    """Check that a changed configuration sends no stored secret to another host.

    is_authorizing: new tokens will replace the stored ones.

    Raises SecretsNeededAgainError, and MissingConfigurationError if a stored secret cannot be read and is not given
    again.
    """
    if plan.unreadable_keys:
        raise MissingConfigurationError(plan.unreadable_keys)
    moved = [named for named in moved_hosts(instance, plan) if not _was_left_open(instance, named)]
    if not moved:
        return
    first = min(moved, key=lambda named: named.names)
    sent = plan.authentication.sent_keys | {*TOKEN_KEYS, *OAUTH1_TOKEN_KEYS}
    kept = [name for name in instance.secret_keys if name in sent and name not in plan.given]
    holds_tokens = instance.tokens or _are_tokens_elsewhere(instance)
    if kept or (holds_tokens and not is_authorizing):
        raise SecretsNeededAgainError(first.names[0], first.host, kept)


def moved_hosts(instance: Instance, plan: ConnectionPlan) -> set[NamedHost]:
    """Return the changed hosts, to which the stored secrets do not belong.

    The element's default hosts, used where nothing is configured, do not count: no caller can change them.
    """
    stored, host_keys = instance.readable_configuration(), _host_keys(instance)
    by_default = {key: value for key, value in stored.items() if key not in host_keys}
    default = _hosts_of(instance, stored) & _hosts_of(instance, by_default)
    return set(plan.own_hosts) - own_hosts(instance) - default


def hosts_to_store(instance: Instance, plan: ConnectionPlan) -> set[NamedHost]:
    """Return the hosts that a plan's secrets belong to once it is stored."""
    hosts, known = set(plan.own_hosts), own_hosts(instance)
    stored, changed = instance.readable_configuration(), plan.own_configuration
    is_same = all(stored.get(key) == changed.get(key) for key in _secret_keys(instance, changed))
    return known if is_same and hosts <= known else hosts


def _are_tokens_elsewhere(instance: Instance) -> bool:
    """Whether a remote platform has tokens for it, which it would send to the host that it is told."""
    way = instance.authentication
    return instance.organization.is_remote and instance.has_token and way.obtains_token


def _was_left_open(instance: Instance, named: NamedHost) -> bool:
    """Return whether the host was left open by whoever entered the secrets.

    That is so if the instance was never connected and had no such host, and the host is one of the provider's or is
    listed. An account owner who uses a link fills in such hosts.
    """
    way = instance.authentication
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
    way = instance.authentication
    aliases = {
        alias for field in way.fields if field.key in way.host_keys for alias in field.aliases
    }
    return {*way.host_keys, *aliases}


def _hosts_of(instance: Instance, configuration: Mapping[str, Any]) -> set[NamedHost]:
    return set(plan_of(instance, configuration).own_hosts)
