"""`POST /instances` bodies (contract 7): what a file, a command and the API have in common."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from django.db import transaction
from pydantic import ValidationError

from instances import crypto
from instances.errors import InputError, InstancesError, MissingCodeError, OutcomeUnknownError
from instances.models import Element, Instance, OrganizationUser
from instances.models.database_clock import require_right_clock
from instances.platforms.base import InstanceDraft, code_in
from instances.platforms.registry import platform_for
from instances.provisioning.changes import save_changes
from instances.provisioning.configuration import authentication_of, choose_authentication
from instances.provisioning.drafts import (
    clean_name,
    clean_tags,
    draft_of,
    new_instance,
    normalised_changes,
)
from instances.provisioning.elements import find_element
from instances.provisioning.instances import (
    connect_unsaved,
    create_at_platform,
    describe_instance,
    forget_instance,
    reauthenticate_instance,
    sent_in_time,
)
from instances.provisioning.states import State, insert_in_state
from instances.wire import InstanceBody


def parse_body(body: Any) -> InstanceBody:
    """A body as a typed document. Raises InputError that names every wrong field, never a value."""
    if not isinstance(body, Mapping):
        raise InputError("The body must be a JSON object.")
    try:
        return InstanceBody.model_validate(body)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
            for one in error.errors(include_input=False, include_url=False, include_context=False)
        )
        raise InputError(f"The body has wrong fields: {wrong}.") from None


def element_of(body: InstanceBody) -> Element:
    """The element that a body names. Raises InputError when it names none, UnknownElementError."""
    if body.element is None or not (body.element.key or body.element.id):
        raise InputError("The body names no element: give element.key.")
    return find_element(body.element.key or str(body.element.id))


def lacks_code(element: Element, body: InstanceBody) -> bool:
    """Whether its account's holder has to go to the provider first."""
    way = element.parsed.authentication_type(_kind_of(element, body))
    is_initial = body.external_authentication == "initial"
    return way.needs_browser and not code_in(body.provider_data) and not is_initial


def draft_arguments(element: Element, body: InstanceBody) -> dict[str, Any]:
    """What create_draft() takes of a body."""
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
    """Create and provision; what is refused leaves no instance (contract 12.6), only its interactions.

    element wins over the body's. on_insert is called in the transaction that inserts the instance, before anything
    is sent. An instance whose creation may have happened is kept, unknown. Raises InputError, PlatformError.
    """
    element = element or element_of(body)
    if lacks_code(element, body):
        raise MissingCodeError
    instance = new_instance(organization_user, element, **draft_arguments(element, body))
    draft = draft_of(instance, actor=actor, provider_data=body.provider_data)
    platform = platform_for(draft.organization)
    begins, why = State.PROVISIONING, "Provisioning began."
    if is_whole := platform.creates_without_exchange(draft):
        connect_unsaved(instance, platform.create_instance(draft))
        begins, why = State.CONNECTED, "Provisioned."
    else:
        require_right_clock()
        draft = sent_in_time(draft)
    # Alone it is one statement, which needs no transaction around it.
    with transaction.atomic() if on_insert else nullcontext():
        insert_in_state([instance], begins, actor=actor, why=why)
        if on_insert:
            on_insert(instance)
    return instance if is_whole else _create_or_forget(instance, draft)


def _create_or_forget(instance: Instance, draft: InstanceDraft) -> Instance:
    named = replace(draft, instance_id=instance.pk, label=instance.label)
    try:
        return create_at_platform(instance, named)
    except OutcomeUnknownError:
        raise
    except InstancesError:
        forget_instance(instance, actor=draft.actor)
        raise


def update_instance(
    instance: Instance, body: InstanceBody, *, actor: str, is_reauthenticating: bool = True
) -> Instance:
    """Merge a body into an instance (contract 7.6, 8.2): what is absent, empty or masked stays.

    The provider is contacted only for a new code or changed credentials, and a refusal changes nothing.
    Others may change it at the same time: what a body does not name stays as they store it.
    Raises InputError, PlatformError, StateConflictError (InstanceDeletedError), UnreadableSecretError.
    """
    name = None if body.name is None else clean_name(body.name) or instance.element.name
    tags = None if body.tags is None else clean_tags(body.tags)
    stored = instance.readable_configuration()
    given = normalised_changes(instance, body.configuration)
    changed = {key: value for key, value in given.items() if stored.get(key) != value}
    if not instance.is_readable:
        # The same values again are how its other secrets, the tokens, are got anew.
        changed = dict(given)
    way = authentication_of(instance, stored | changed)
    provider_data = body.provider_data or {}
    code = code_in(provider_data)
    is_new_code = bool(provider_data) and instance.code_digest not in crypto.digests(code)
    is_other_variant = way.variant_of(stored) != way.variant_of(stored | changed)
    declared = {field.key for field in way.fields}
    needs_provider = is_new_code or is_other_variant or not declared.isdisjoint(changed)
    if is_reauthenticating and needs_provider:
        reauthenticate_instance(
            instance,
            actor=actor,
            # What is given again counts, too: with it, a host may change.
            configuration=given,
            provider_data=provider_data if is_new_code else {},
        )
        changed = {}
    if changed or name is not None or tags is not None:
        if instance.organization.is_remote:
            # What cannot be told to the platform is refused before anything is changed here.
            draft_of(instance, actor=actor)
        # What was given again counts as given, also where it is as stored.
        save_changes(instance, configuration=given if changed else None, name=name, tags=tags)
        if instance.is_readable:
            describe_instance(instance, actor=actor)
    return instance
