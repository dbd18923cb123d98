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
from instances.api.responses import ERRORS
from instances.models import Instance
from instances.provisioning.bodies import update_instance
from instances.wire import Document, InstanceBody, InstanceConfigurationDocument

router = Router(tags=["Configuration of instances"])
ENTRY: dict[Any, Any] = {200: InstanceConfigurationDocument, **ERRORS}
ENTRIES: dict[Any, Any] = {200: list[InstanceConfigurationDocument], **ERRORS}


class EntryChange(Document):
    """`{"propertyValue": "true"}`, or the whole entry; null leaves the value as it is."""

    property_value: str | bool | int | None = None


@router.get("/instances/{int:instance_id}/configuration", response=ENTRIES, by_alias=True)
def list_configuration(request: HttpRequest, instance_id: int) -> HttpResponse:
    """Every key of the element, set or not; secrets masked."""
    return _list(request, get_instance(require_caller(request).user, instance_id))


@router.get("/instances/configuration", response=ENTRIES, by_alias=True)
def list_own_configuration(request: HttpRequest) -> HttpResponse:
    """The same, of the Element token's instance."""
    return _list(request, own_instance(request))


@router.get(
    "/instances/{int:instance_id}/configuration/{int:entry_id}", response=ENTRY, by_alias=True
)
def read_entry(request: HttpRequest, instance_id: int, entry_id: int) -> HttpResponse:
    """One entry."""
    instance = get_instance(require_caller(request).user, instance_id)
    return JsonResponse(_entry(instance, entry_id))


@router.get("/instances/configuration/{int:entry_id}", response=ENTRY, by_alias=True)
def read_own_entry(request: HttpRequest, entry_id: int) -> HttpResponse:
    """One entry of the Element token's instance."""
    return JsonResponse(_entry(own_instance(request), entry_id))


@router.patch(
    "/instances/{int:instance_id}/configuration/{int:entry_id}", response=ENTRY, by_alias=True
)
def change_entry(
    request: HttpRequest, instance_id: int, entry_id: int, body: EntryChange
) -> HttpResponse:
    """Change one value; the provider is not contacted."""
    return _change(request, get_instance(require_caller(request).user, instance_id), entry_id, body)


@router.patch("/instances/configuration/{int:entry_id}", response=ENTRY, by_alias=True)
def change_own_entry(request: HttpRequest, entry_id: int, body: EntryChange) -> HttpResponse:
    """Change one value of the Element token's instance."""
    return _change(request, own_instance(request), entry_id, body)


def _list(request: HttpRequest, instance: Instance) -> HttpResponse:
    return list_response(
        request, documents.instance_configuration(instance), things="configuration"
    )


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
        raise BadRequest(f"{key} cannot be changed: create a new instance instead")
    body = InstanceBody(configuration={key: change.property_value})
    update_instance(
        instance, body, actor=actor_of(require_caller(request)), is_reauthenticating=False
    )
    instance.refresh_from_db()
    return JsonResponse(_entry(instance, entry_id))
