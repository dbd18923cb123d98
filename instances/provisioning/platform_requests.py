"""Build the requests to platforms: an instance and its secrets in plain text.

Merging changes into a stored configuration belongs here too, since a changed configuration is tried before it is stored.
"""

from collections.abc import Mapping
from typing import Any

from instances.errors import MissingConfigurationError
from instances.models import Instance
from instances.platforms.base import PlatformRequest, TokenSet
from instances.provisioning.hosts import (
    allowed_hosts,
    hosts_to_store,
    own_hosts,
    require_secrets_again,
)
from instances.provisioning.plan import (
    OAUTH_APP_KEYS,
    authentication_of,
    completed_by,
    has_oauth_app,
    normalise_configuration,
    oauth_app_for,
)


def platform_request(
    instance: Instance,
    *,
    actor: str,
    configuration: Mapping[str, Any] | None = None,
    provider_data: Mapping[str, str] | None = None,
    code_verifier: str = "",
) -> PlatformRequest:
    """Build the request for an instance, with its secrets in plain text.

    configuration: used in place of the stored one to authenticate again, as returned by changed_configuration();
    stored tokens that cannot be read are then left out.

    Raises UnreadableSecretError.
    """
    organization, element = instance.organization, instance.element
    own = instance.full_configuration() if configuration is None else configuration
    hosts = own_hosts(instance) if configuration is None else hosts_to_store(instance, own)
    way = authentication_of(instance, own)
    app = oauth_app_for(organization, element, way, own)
    unreadable = {} if configuration is None else instance.unreadable_secrets()
    stored_tokens = {} if "tokens" in unreadable else instance.reveal("tokens")
    return PlatformRequest(
        instance_id=instance.pk,
        uid=instance.uid,
        label=instance.label,
        name=instance.name,
        organization_user=instance.organization_user,
        element=instance.element.parsed,
        authentication=way,
        configuration=completed_by(app, way, own),
        tags=tuple(instance.tag_names),
        external_authentication=instance.external_authentication,
        provider_data=provider_data or {},
        code_verifier=code_verifier,
        remote_id=instance.remote_id,
        tokens=TokenSet.from_json(stored_tokens) if stored_tokens else None,
        has_lost_token="token" in unreadable,
        allowed_hosts=allowed_hosts(organization, element, app, hosts),
        actor=actor,
    )


def normalised_changes(instance: Instance, given: Mapping[str, Any]) -> dict[str, str]:
    """Convert the given keys to what is stored; masks and empty values change nothing.

    Raises InvalidConfigurationError.
    """
    definition = instance.element.parsed
    way = definition.authentication_type(instance.authentication_type)
    return normalise_configuration(definition, way, given)


def changed_configuration(
    instance: Instance, given: Mapping[str, Any], *, is_authorizing: bool
) -> dict[str, Any]:
    """Merge keys into the stored configuration; masks and empty values are ignored.

    is_authorizing: new tokens will replace the stored ones.

    Raises InvalidConfigurationError, SecretsNeededAgainError, and MissingConfigurationError if a stored secret cannot
    be read and is not given again.
    """
    normalised = normalised_changes(instance, given)
    changed = instance.readable_configuration() | normalised
    way = authentication_of(instance, changed)
    lost = {key for key in instance.lost_keys if key not in changed}
    if "oauth.api.secret" in lost and has_oauth_app(instance.organization, instance.element, way):
        # No form asks for the instance's own client, so the organization's OAuth app replaces it.
        changed.pop("oauth.api.key", None)
        lost -= set(OAUTH_APP_KEYS)
    if missing := [key.key for key in way.fields if key.key in lost]:
        raise MissingConfigurationError(missing)
    require_secrets_again(instance, changed, normalised, is_authorizing=is_authorizing)
    return changed
