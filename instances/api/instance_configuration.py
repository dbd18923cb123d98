"""The configuration of an instance, entry by entry (contract 8.3)."""

from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router

from instances.api import documents
from instances.api.authentication import require_caller
from instances.api.errors import NotFoundError
from instances.api.instances import actor_of, get_instance, own_instance
from instances.api.paging import list_response
from instances.api.responses import BODY, PLATFORM, answers
from instances.api.schemas import InstanceConfigurationDocument
from instances.api.security import OWN_INSTANCE_CALL, PLATFORM_CALL
from instances.models import Instance
from instances.provisioning.update import update_instance
from instances.wire import Document, InstanceBody

router = Router(tags=["Configuration of instances"], by_alias=True, auth=PLATFORM_CALL)
LIST = answers(list[InstanceConfigurationDocument], 404)
READ = answers(InstanceConfigurationDocument, 404)
CHANGE = answers(InstanceConfigurationDocument, 404, *BODY, *PLATFORM)


class EntryChange(Document):
    """`{"propertyValue": "true"}` or the whole entry; null changes nothing."""

    property_value: str | bool | int | None = None


@router.get("/instances/{int:instance_id}/configuration", response=LIST)
def list_configuration(request: HttpRequest, instance_id: int) -> HttpResponse:
    """List every configuration key of the instance's element, set or not.

    Secrets are masked.
    """
    return _list(get_instance(require_caller(request).organization_user, instance_id))


@router.get("/instances/configuration", response=LIST, auth=OWN_INSTANCE_CALL)
def list_own_configuration(request: HttpRequest) -> HttpResponse:
    """List every configuration key for the Element token's instance, set or not.

    Secrets are masked.
    """
    return _list(own_instance(request))


@router.get("/instances/{int:instance_id}/configuration/{int:entry_id}", response=READ)
def read_entry(request: HttpRequest, instance_id: int, entry_id: int) -> HttpResponse:
    """Get one configuration entry."""
    instance = get_instance(require_caller(request).organization_user, instance_id)
    return JsonResponse(_entry(instance, entry_id))


@router.get("/instances/configuration/{int:entry_id}", response=READ, auth=OWN_INSTANCE_CALL)
def read_own_entry(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Get one configuration entry of the Element token's instance."""
    return JsonResponse(_entry(own_instance(request), entry_id))


@router.patch("/instances/{int:instance_id}/configuration/{int:entry_id}", response=CHANGE)
def change_entry(
    request: HttpRequest, instance_id: int, entry_id: int, body: EntryChange
) -> HttpResponse:
    """Change one configuration value. The provider is not contacted."""
    return _change(
        request,
        get_instance(require_caller(request).organization_user, instance_id),
        entry_id,
        body,
    )


@router.patch("/instances/configuration/{int:entry_id}", response=CHANGE, auth=OWN_INSTANCE_CALL)
def change_own_entry(request: HttpRequest, entry_id: int, body: EntryChange) -> HttpResponse:
    """Change one configuration value of the Element token's instance.

    The provider is not contacted.
    """
    return _change(request, own_instance(request), entry_id, body)


def _list(instance: Instance) -> HttpResponse:
    return list_response(documents.instance_configuration(instance), things="configuration")


def _entry(instance: Instance, entry_id: int) -> dict[str, Any]:
    for entry in documents.instance_configuration(instance):
        if entry["id"] == entry_id:
            return entry
    raise NotFoundError(f"No configuration found with ID {entry_id}")


def _change(
    request: HttpRequest, instance: Instance, entry_id: int, change: EntryChange
) -> HttpResponse:
    key = _entry(instance, entry_id)["key"]
    if key.startswith("authentication."):
        raise BadRequest(f"{key} cannot be changed; create a new instance instead")
    body = InstanceBody(configuration={key: change.property_value})
    update_instance(
        instance, body, actor=actor_of(require_caller(request)), is_reauthenticating=False
    )
    instance.refresh_from_db()
    return JsonResponse(_entry(instance, entry_id))
