"""Create instances: one path for admin, self-service, API and bulk rows.

Drafts, instances in memory and create requests are made and checked here. What happens at the platform afterwards is
in `lifecycle.provision`.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.utils.html import strip_tags
from pydantic import ValidationError

from instances.catalogue.definition import AuthenticationKind, AuthenticationType
from instances.errors import (
    InputError,
    InstancesError,
    MissingCodeError,
    MissingConfigurationError,
    OutcomeUnknownError,
)
from instances.models import Element, Instance, Organization, OrganizationUser
from instances.platforms.base import PlatformRequest
from instances.platforms.registry import platform_for
from instances.provisioning.elements import find_element
from instances.provisioning.hosts import (
    allowed_hosts,
    host_columns,
    hosts_in,
    own_hosts,
    require_allowed_hosts,
)
from instances.provisioning.lifecycle.delete import forget_instance
from instances.provisioning.lifecycle.provision import (
    connect_unsaved,
    create_at_platform,
    sent_in_time,
)
from instances.provisioning.lifecycle.states import State, insert_in_state
from instances.provisioning.plan import (
    OAUTH1_TOKEN_KEYS,
    TOKEN_KEYS,
    choose_authentication,
    completed_by,
    default_callback_url,
    lacks_code,
    normalise_configuration,
    oauth_app_for,
    require_complete,
    split_secrets,
)
from instances.provisioning.platform_requests import platform_request
from instances.queries.database_clock import require_right_clock
from instances.redaction import storable
from instances.wire import InstanceBody

MAX_NAME_CHARACTERS = 200


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
    is_incomplete: bool = False,
) -> Instance:
    """Create a draft; nothing is sent.

    name: defaults to the element's name; HTML tags are stripped. tags: defaults to the name (contract 7.1).
    is_incomplete: required keys may be missing, because someone else enters them later.

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
        is_incomplete=is_incomplete,
    )
    insert_in_state([instance], State.DRAFT, actor=actor, why="Created.")
    return instance


def new_instance(
    organization_user: OrganizationUser, element: Element, **arguments: Any
) -> Instance:
    """Make an instance with its tags in memory; insert_in_state() stores it.

    arguments: those of check_draft().

    Raises what check_draft() raises.
    """
    columns, tag_names = check_draft(organization_user, element, **arguments)
    configuration = columns.pop("configuration")
    columns |= split_secrets(element.parsed, configuration)
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
    is_incomplete: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """Return the columns and tags that create_draft() would write; write nothing.

    The column `configuration` holds all keys, secrets included, in plain text.

    Raises what create_draft() raises.
    """
    definition = element.parsed
    given = dict(configuration or {})
    way = definition.authentication_type(authentication_type)
    way = way.with_variant(way.variant_of(given))
    normalised = normalise_configuration(definition, way, given)
    organization = organization_user.organization
    app = oauth_app_for(organization, element, way, normalised)
    complete = completed_by(app, way, normalised)
    if not is_incomplete:
        _require_keys(way, organization, complete, external_authentication)
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


def _require_keys(
    way: AuthenticationType,
    organization: Organization,
    complete: dict[str, Any],
    external_authentication: str,
) -> None:
    """Check that every required key is there.

    With tokens that were obtained elsewhere, no callback URL is needed (contract 7.4).

    Raises MissingConfigurationError.
    """
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


def clean_name(name: str) -> str:
    """Strip HTML tags from a name (contract 5).

    Raises InputError if it is too long.
    """
    cleaned = strip_tags(storable(name)).strip()
    if len(cleaned) > MAX_NAME_CHARACTERS:
        raise InputError(f"A name has at most {MAX_NAME_CHARACTERS} characters. Shorten it.")
    return cleaned


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Strip tags and drop duplicates, keeping their order.

    Raises InputError if one is empty or too long.
    """
    names = list(dict.fromkeys(tag.strip() for tag in tags))
    is_usable = [0 < len(name) <= MAX_NAME_CHARACTERS and storable(name) == name for name in names]
    if not all(is_usable):
        raise InputError(f"A tag has 1 to {MAX_NAME_CHARACTERS} characters.")
    return names


def parse_body(body: Any) -> InstanceBody:
    """Validate a request body.

    Raises InputError, which names every invalid field and never a value.
    """
    if not isinstance(body, Mapping):
        raise InputError("The body must be a JSON object.")
    try:
        return InstanceBody.model_validate(body)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
            for detail in error.errors(
                include_input=False, include_url=False, include_context=False
            )
        )
        raise InputError(f"The body has invalid fields: {wrong}.") from None


def element_of(body: InstanceBody) -> Element:
    """Return the element that a body names.

    Raises InputError if it names none, UnknownElementError.
    """
    if body.element is None or not (body.element.key or body.element.id):
        raise InputError("The body does not name an element. Set element.key.")
    return find_element(body.element.key or str(body.element.id))


def authentication_for(element: Element, body: InstanceBody) -> AuthenticationType:
    """Return the way of authentication that a body asks for.

    Raises InvalidConfigurationError if the element does not have it.
    """
    return element.parsed.authentication_type(_kind_of(element, body))


def create_arguments(element: Element, body: InstanceBody) -> dict[str, Any]:
    """Return the arguments of create_draft() that a body contains."""
    return {
        "name": body.name or "",
        "tags": body.tags,
        "authentication_type": _kind_of(element, body),
        "configuration": body.configuration,
        "external_authentication": body.external_authentication,
    }


def _kind_of(element: Element, body: InstanceBody) -> str:
    return choose_authentication(element.parsed, body.configuration, body.provider_data or {})


def create_instance(
    organization_user: OrganizationUser,
    body: InstanceBody,
    *,
    actor: str,
    element: Element | None = None,
    on_insert: Callable[[Instance], None] | None = None,
) -> Instance:
    """Create an instance and provision it.

    A rejected create leaves no instance, only its interactions (contract 12.6). If the platform's response is lost, the
    instance is kept in the state `unknown`, since it may exist there.

    element: takes precedence over the body's. on_insert: called in the transaction that inserts the instance, before
    anything is sent.

    Raises InputError, PlatformError.
    """
    element = element or element_of(body)
    if lacks_code(authentication_for(element, body), body):
        raise MissingCodeError
    instance = new_instance(organization_user, element, **create_arguments(element, body))
    request = platform_request(instance, actor=actor, provider_data=body.provider_data)
    platform = platform_for(request.organization)
    initial_state, why = State.PROVISIONING, "Provisioning started."
    if is_whole := platform.creates_without_exchange(request):
        connect_unsaved(instance, platform.create_instance(request))
        initial_state, why = State.CONNECTED, "Provisioned."
    else:
        require_right_clock()
        request = sent_in_time(request)
    # Without on_insert it is a single statement, which needs no transaction.
    with transaction.atomic() if on_insert else nullcontext():
        insert_in_state([instance], initial_state, actor=actor, why=why)
        if on_insert:
            on_insert(instance)
    return instance if is_whole else _create_or_forget(instance, request)


def _create_or_forget(instance: Instance, request: PlatformRequest) -> Instance:
    named = replace(request, instance_id=instance.pk, label=instance.label)
    try:
        return create_at_platform(instance, named)
    except OutcomeUnknownError:
        raise
    except InstancesError:
        forget_instance(instance, actor=request.actor)
        raise
