"""Instances before anything is sent: drafted, named, tagged, and made ready for a platform."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.html import strip_tags

from instances.catalogue.definition import AuthenticationKind, AuthenticationType
from instances.errors import InputError, MissingConfigurationError
from instances.models import Element, Instance, Organization, OrganizationUser
from instances.platforms.base import InstanceDraft, TokenSet
from instances.provisioning.changes import save_changes
from instances.provisioning.configuration import (
    OAUTH_APP_KEYS,
    authentication_of,
    completed_by,
    default_callback_url,
    has_oauth_app,
    normalise_configuration,
    oauth_app_for,
    require_complete,
    store_configuration,
)
from instances.provisioning.hosts import (
    allowed_hosts,
    host_columns,
    hosts_in,
    hosts_to_store,
    own_hosts,
    require_allowed_hosts,
    require_secrets_again,
)
from instances.provisioning.states import State, insert_in_state
from instances.redaction import storable

MAX_NAME_CHARACTERS = 200
# Either is enough of what a caller obtained elsewhere (contract 7.4); OAuth 1.0a takes both of its own.
TOKEN_KEYS = ("oauth.user.token", "oauth.user.refresh_token")
OAUTH1_TOKEN_KEYS = ("oauth.user.token", "oauth.user.token.secret")


def create_draft(
    organization_user: OrganizationUser,
    element: Element,
    *,
    actor: str,
    name: str = "",
    tags: Iterable[str] | None = None,
    authentication_type: str | None = None,
    configuration: Mapping[str, Any] | None = None,
    external_authentication: str = Instance.ExternalAuthentication.NONE,
    is_to_be_completed: bool = False,
) -> Instance:
    """A new instance in draft: nothing is sent anywhere.

    is_to_be_completed: somebody else enters what is required and not there yet.

    name: the element's when empty; HTML tags are stripped. tags: the name when None (contract 7.1).
    Raises InputError (UnknownElementError, InvalidConfigurationError, MissingConfigurationError, …).
    """
    instance = new_instance(
        organization_user,
        element,
        name=name,
        tags=tags,
        authentication_type=authentication_type,
        configuration=configuration,
        external_authentication=external_authentication,
        is_to_be_completed=is_to_be_completed,
    )
    insert_in_state([instance], State.DRAFT, actor=actor, why="Created.")
    return instance


def new_instance(
    organization_user: OrganizationUser, element: Element, **arguments: Any
) -> Instance:
    """An instance that is in memory alone, with its tags, until insert_in_state().

    arguments: check_draft()'s. Raises what it raises.
    """
    columns, tag_names = check_draft(organization_user, element, **arguments)
    configuration = columns.pop("configuration")
    columns |= store_configuration(element.parsed, configuration)
    instance = Instance(organization_user=organization_user, element=element, **columns)
    for name, value in host_columns(own_hosts(instance)).items():
        setattr(instance, name, value)
    instance.tag_names = tag_names
    return instance


def check_draft(
    organization_user: OrganizationUser,
    element: Element,
    *,
    name: str = "",
    tags: Iterable[str] | None = None,
    authentication_type: str | None = None,
    configuration: Mapping[str, Any] | None = None,
    external_authentication: str = Instance.ExternalAuthentication.NONE,
    is_to_be_completed: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """The columns and the tags that create_draft() would write, configuration still whole and in clear.

    Nothing is written. Raises what create_draft() raises.
    """
    definition = element.parsed
    given = dict(configuration or {})
    way = definition.authentication_type(authentication_type)
    way = way.with_variant(way.variant_of(given))
    normalised = normalise_configuration(definition, way, given)
    organization = organization_user.organization
    app = oauth_app_for(organization, element, way, normalised)
    complete = completed_by(app, way, normalised)
    if not is_to_be_completed:
        _require(way, organization, complete, external_authentication)
    own = hosts_in(organization, element, way, normalised)
    allowed = allowed_hosts(organization, element, app, own)
    require_allowed_hosts(organization, element, way, complete, allowed)
    name = clean_name(name) or element.name
    columns = {
        "name": name,
        "authentication_type": way.type,
        "external_authentication": external_authentication,
        "configuration": normalised,
    }
    return columns, clean_tags([name] if tags is None else tags)


def _require(
    way: AuthenticationType,
    organization: Organization,
    complete: dict[str, Any],
    external_authentication: str,
) -> None:
    """Raises MissingConfigurationError. Tokens obtained elsewhere need no callback URL (contract 7.4)."""
    if external_authentication != Instance.ExternalAuthentication.INITIAL:
        require_complete(organization, way, complete)
        return
    is_oauth1 = way.type == AuthenticationKind.OAUTH1
    keys = OAUTH1_TOKEN_KEYS if is_oauth1 else TOKEN_KEYS
    given = [key for key in keys if complete.get(key)]
    if len(given) < (len(keys) if is_oauth1 else 1):
        raise MissingConfigurationError([key for key in keys if key not in given])
    no_callback = {"oauth.callback.url": default_callback_url()}
    require_complete(organization, way, no_callback | complete)


def rename_instance(
    instance: Instance, *, name: str | None = None, tags: Iterable[str] | None = None
) -> Instance:
    """Change the name, the tags, or both; the provider is not contacted (contract 7.6).

    Raises InputError, InstanceDeletedError.
    """
    save_changes(
        instance,
        name=None if name is None else clean_name(name) or instance.element.name,
        tags=None if tags is None else clean_tags(tags),
    )
    return instance


def clean_name(name: str) -> str:
    """Without HTML tags (contract 5). Raises InputError when it is too long."""
    cleaned = strip_tags(storable(name)).strip()
    if len(cleaned) > MAX_NAME_CHARACTERS:
        raise InputError(f"A name has at most {MAX_NAME_CHARACTERS} characters.")
    return cleaned


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Each once, in their order. Raises InputError when one is empty or too long."""
    names = list(dict.fromkeys(tag.strip() for tag in tags))
    is_usable = [0 < len(name) <= MAX_NAME_CHARACTERS and storable(name) == name for name in names]
    if not all(is_usable):
        raise InputError(f"A tag has 1 to {MAX_NAME_CHARACTERS} characters.")
    return names


def draft_of(
    instance: Instance,
    *,
    actor: str,
    configuration: Mapping[str, Any] | None = None,
    provider_data: Mapping[str, str] | None = None,
    code_verifier: str = "",
) -> InstanceDraft:
    """The instance as its platform needs it, secrets in clear.

    configuration: instead of the stored one, as changed_configuration() gives it, for who is to authenticate anew; then
    tokens that cannot be read are as none. Raises UnreadableSecretError.
    """
    organization, element = instance.organization, instance.element
    own = instance.full_configuration() if configuration is None else configuration
    hosts = own_hosts(instance) if configuration is None else hosts_to_store(instance, own)
    way = authentication_of(instance, own)
    app = oauth_app_for(organization, element, way, own)
    unreadable = {} if configuration is None else instance.unreadable_secrets()
    stored_tokens = {} if "tokens" in unreadable else instance.reveal("tokens")
    return InstanceDraft(
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
    """The given keys as they are stored; masks and empty values, which change nothing, left out.

    Raises InvalidConfigurationError.
    """
    definition = instance.element.parsed
    way = definition.authentication_type(instance.authentication_type)
    return normalise_configuration(definition, way, given)


def changed_configuration(
    instance: Instance, given: Mapping[str, Any], *, is_authorizing: bool
) -> dict[str, Any]:
    """The stored configuration with the given keys merged in; masks and empty values change nothing.

    is_authorizing: new tokens replace the stored ones. Raises InvalidConfigurationError, SecretsNeededAgainError, and
    MissingConfigurationError where secret keys cannot be read, and are not given again.
    """
    normalised = normalised_changes(instance, given)
    changed = instance.readable_configuration() | normalised
    way = authentication_of(instance, changed)
    lost = {key for key in instance.lost_keys if key not in changed}
    if "oauth.api.secret" in lost and has_oauth_app(instance.organization, instance.element, way):
        # Nobody is asked for its own client, so the organization's takes its place.
        changed.pop("oauth.api.key", None)
        lost -= set(OAUTH_APP_KEYS)
    if missing := [key.key for key in way.fields if key.key in lost]:
        raise MissingConfigurationError(missing)
    require_secrets_again(instance, changed, normalised, is_authorizing=is_authorizing)
    return changed
