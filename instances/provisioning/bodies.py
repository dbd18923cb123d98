"""`POST /instances` bodies (contract 7) as drafts: what a file, a command and the API have in common."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from pydantic import ValidationError

from instances.errors import InputError, InstancesError
from instances.models import Instance, OrganizationUser
from instances.provisioning.configuration import choose_authentication
from instances.provisioning.drafts import create_draft
from instances.provisioning.elements import find_element
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


def instance_from_body(
    organization_user: OrganizationUser, body: InstanceBody, *, actor: str
) -> Instance:
    """A draft of what the body describes. Raises InputError and keeps nothing."""
    if body.element is None:
        raise InputError("The body names no element: give element.key.")
    element = find_element(body.element.key or str(body.element.id))
    way = choose_authentication(
        element.parsed, body.configuration, has_code=bool(body.provider_data)
    )
    return create_draft(
        organization_user,
        element,
        actor=actor,
        name=body.name or "",
        tags=body.tags,
        authentication_type=way,
        configuration=body.configuration,
        external_authentication=body.external_authentication,
    )


def check_body(organization_user: OrganizationUser, body: Any, *, actor: str) -> str:
    """What is wrong with a body, as a sentence; empty when it could be provisioned. Keeps nothing."""
    with transaction.atomic():
        try:
            instance_from_body(organization_user, parse_body(body), actor=actor)
        except InstancesError as error:
            return str(error)
        finally:
            transaction.set_rollback(True)
    return ""
