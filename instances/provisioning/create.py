"""Create instances: the one way for admin, self-service, API and bulk rows.

A plan becomes a new instance in memory, which is checked, then stored, one or many at once. What happens at the
platform afterwards is in `lifecycle.provision`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.utils.html import strip_tags
from pydantic import ValidationError

from instances.catalogue.authentication import AuthenticationKind
from instances.deadlines import Deadline
from instances.errors import (
    InputError,
    MissingCodeError,
    MissingConfigurationError,
    OutcomeUnknownError,
    RetiredElementError,
    UnknownElementError,
)
from instances.models import Element, Instance, OrganizationUser
from instances.pasted import trimmed
from instances.platforms.base import Platform, PlatformRequest
from instances.platforms.registry import platform_for
from instances.provisioning.configuration import split_secrets
from instances.provisioning.elements import find_element
from instances.provisioning.hosts import (
    allowed_hosts,
    host_columns,
    require_allowed_hosts,
)
from instances.provisioning.lifecycle.delete import forget_instance
from instances.provisioning.lifecycle.provision import (
    CreateResult,
    connect_unsaved,
    create_deadline,
    send_create,
    store_result,
)
from instances.provisioning.lifecycle.states import State, insert_in_state
from instances.provisioning.plan import (
    OAUTH1_TOKEN_KEYS,
    TOKEN_KEYS,
    ConnectionPlan,
    plan_connection,
)
from instances.provisioning.platform_requests import create_request
from instances.provisioning.ways import choose_authentication
from instances.queries.database_clock import require_right_clock
from instances.redaction import storable
from instances.wire import InstanceBody

MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class NewCreate:
    """An instance that is not stored yet, and the request that creates it at its platform."""

    instance: Instance
    request: PlatformRequest = field(repr=False)
    platform: Platform = field(repr=False)
    # Nothing has to be sent for it.
    is_connected: bool = False

    def send(self, *, deadline: Deadline) -> CreateResult:
        """Create the instance at its platform once it is stored; errors become part of the result.

        deadline: nothing is sent after it. Writes nothing but interactions, and must not run inside a transaction.
        """
        instance = self.instance
        return send_create(
            instance,
            replace(self.request, instance_id=instance.pk, label=instance.label, deadline=deadline),
            self.platform,
        )


def plan_instance(
    organization_user: OrganizationUser,
    element: Element,
    *,
    name: str = "",
    tags: Iterable[str] | None = None,
    authentication_type: str | None = None,
    configuration: Mapping[str, Any] | None = None,
    provider_data: Mapping[str, str] | None = None,
    external_authentication: str = Instance.ExternalAuthentication.NONE,
    oauth_app_id: int | None = None,
) -> ConnectionPlan:
    """Plan a new instance.

    name: defaults to the element's name; HTML tags are stripped. tags: defaults to the name (contract 7.1).

    Raises InputError (InvalidConfigurationError, …).
    """
    name = clean_name(name) or element.name
    return plan_connection(
        organization_user,
        element,
        element.parsed.authentication_type(authentication_type),
        configuration or {},
        provider_data=provider_data or {},
        external_authentication=external_authentication,
        oauth_app_id=oauth_app_id,
        name=name,
        tags=tuple(clean_tags([name] if tags is None else tags)),
    )


def plan_body(
    organization_user: OrganizationUser, body: InstanceBody, *, element: Element | None = None
) -> ConnectionPlan:
    """Plan the instance that a body asks for.

    element: takes precedence over the body's.

    Raises InputError (UnknownElementError, RetiredElementError, InvalidConfigurationError, …).
    """
    element = element or element_of(body)
    plan = plan_instance(
        organization_user,
        element,
        name=body.name or "",
        tags=body.tags,
        authentication_type=choose_authentication(
            element.parsed,
            body.configuration,
            body.provider_data,
            external_authentication=body.external_authentication,
        ),
        configuration=body.configuration,
        provider_data=body.provider_data,
        external_authentication=body.external_authentication,
    )
    _require_connectable(plan)
    return plan


def _require_connectable(plan: ConnectionPlan) -> None:
    """Check that the organization may use the element, and that the provider still accepts it and the way.

    Instances that exist already, here or on a remote platform, are not asked.

    Raises UnknownElementError, RetiredElementError.
    """
    organization = plan.organization_user.organization
    if not plan.element.is_offered_to(organization.pk):
        raise UnknownElementError(
            f"No element found with key or ID {plan.element.key} that {organization} may use. "
            "Ask an administrator to offer it."
        )
    definition, way = plan.element.parsed, plan.authentication
    if retirement := definition.retirement_of(way):
        kind = "" if definition.is_retired else way.type
        raise RetiredElementError(definition.name, retirement, way=kind)


def element_of(body: InstanceBody) -> Element:
    """Return the element that a body names.

    Raises InputError if it names none, UnknownElementError.
    """
    if body.element is None or not (body.element.key or body.element.id):
        raise InputError("The body does not name an element. Set element.key.")
    return find_element(body.element.key or str(body.element.id))


def check_plan(plan: ConnectionPlan, *, is_incomplete: bool = False) -> None:
    """Check that a new instance has every required key, and that its hosts are allowed.

    is_incomplete: required keys may be missing, because someone else enters them later.

    Raises MissingConfigurationError, HostNotAllowedError.
    """
    if not is_incomplete:
        _require_keys(plan)
    require_allowed_hosts(plan, allowed_hosts(plan, plan.own_hosts))


def _require_keys(plan: ConnectionPlan) -> None:
    """Check that every required key is there.

    With tokens that were obtained elsewhere, no callback URL is needed (contract 7.4).

    Raises MissingConfigurationError.
    """
    if plan.external_authentication != Instance.ExternalAuthentication.INITIAL:
        plan.for_discovery().require_complete()
        return
    is_oauth1 = plan.authentication.type == AuthenticationKind.OAUTH1
    keys = OAUTH1_TOKEN_KEYS if is_oauth1 else TOKEN_KEYS
    given = [key for key in keys if plan.configuration.get(key)]
    if len(given) < (len(keys) if is_oauth1 else 1):
        raise MissingConfigurationError([key for key in keys if key not in given])
    plan.with_callback_url().require_complete()


def new_instance(plan: ConnectionPlan, *, is_incomplete: bool = False) -> Instance:
    """Make an instance with its tags in memory; insert_in_state() stores it.

    Raises what check_plan() raises.
    """
    check_plan(plan, is_incomplete=is_incomplete)
    instance = Instance(
        organization_user=plan.organization_user,
        element=plan.element,
        name=plan.name,
        # So that it keeps its client when another app becomes the default one.
        oauth_app=plan.oauth_app,
        authentication_type=plan.authentication.type,
        external_authentication=plan.external_authentication,
        **split_secrets(plan.element.parsed, plan.own_configuration),
        **host_columns(plan.own_hosts),
    )
    instance.tag_names = list(plan.tags)
    return instance


def create_draft(
    organization_user: OrganizationUser,
    element: Element,
    *,
    actor: str,
    is_incomplete: bool = False,
    **fields: Any,
) -> Instance:
    """Create a draft; nothing is sent.

    fields: those of plan_instance(). is_incomplete: see check_plan().

    Raises InputError (RetiredElementError, InvalidConfigurationError, MissingConfigurationError, …).
    """
    plan = plan_instance(organization_user, element, **fields)
    _require_connectable(plan)
    instance = new_instance(plan, is_incomplete=is_incomplete)
    insert_in_state([instance], State.DRAFT, actor=actor, why="Created.")
    return instance


def new_create(plan: ConnectionPlan, *, actor: str, platform: Platform | None = None) -> NewCreate:
    """Make an instance in memory that is to be created at its platform; insert_creates() stores it.

    platform: that of the plan's organization, if the caller has it already.

    Raises MissingCodeError, PlatformError, and what check_plan() raises.
    """
    if plan.needs_code:
        raise MissingCodeError
    instance = new_instance(plan)
    request = create_request(instance, plan, actor=actor)
    platform = platform or platform_for(request.organization)
    if not platform.creates_without_exchange(request):
        return NewCreate(instance, request, platform)
    connect_unsaved(instance, platform.create_instance(request))
    return NewCreate(instance, request, platform, is_connected=True)


def insert_creates(creates: Sequence[NewCreate], *, actor: str) -> None:
    """Store new instances, before anything is sent for them."""
    connected = [new.instance for new in creates if new.is_connected]
    sent = [new.instance for new in creates if not new.is_connected]
    if connected:
        insert_in_state(connected, State.CONNECTED, actor=actor, why="Provisioned.")
    if sent:
        insert_in_state(sent, State.PROVISIONING, actor=actor, why="Provisioning started.")


def create(
    plan: ConnectionPlan,
    *,
    actor: str,
    on_insert: Callable[[Instance], None] | None = None,
    deadline: Deadline | None = None,
) -> CreateResult:
    """Create an instance and provision it.

    A rejected create leaves no instance, only its interactions (contract 12.6). If the platform's response is lost, the
    instance is kept in the state `unknown`, since it may exist there.

    on_insert: called in the transaction that inserts the instance, before anything is sent. deadline: nothing is sent
    after it; by default that of create_deadline().

    Raises InputError and ClockSkewError, before anything is stored; later errors are part of the result.
    """
    new = new_create(plan, actor=actor)
    if not new.is_connected:
        require_right_clock()
    deadline = deadline or create_deadline()
    # Without on_insert it is a single statement, which needs no transaction.
    with transaction.atomic() if on_insert else nullcontext():
        insert_creates([new], actor=actor)
        if on_insert:
            on_insert(new.instance)
    if new.is_connected:
        return CreateResult(new.instance, new.request)
    result = store_result(new.send(deadline=deadline))
    if result.error and not isinstance(result.error, OutcomeUnknownError):
        forget_instance(new.instance, actor=actor)
    return result


def clean_name(name: str) -> str:
    """Strip HTML tags from a name (contract 5).

    Raises InputError if it is too long.
    """
    cleaned = trimmed(strip_tags(storable(name)))
    if len(cleaned) > MAX_NAME_CHARACTERS:
        raise InputError(f"A name has at most {MAX_NAME_CHARACTERS} characters. Shorten it.")
    return cleaned


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Strip tags and drop duplicates, keeping their order.

    Raises InputError if one is empty or too long.
    """
    names = list(dict.fromkeys(trimmed(tag) for tag in tags))
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
