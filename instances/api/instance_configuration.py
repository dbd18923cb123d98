"""The configuration of an instance, entry by entry (contract 8.3)."""

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from ninja import Router

from instances.api.authentication import require_caller
from instances.api.documents.instances import InstanceConfigurationDocument
from instances.api.errors import NotFoundError
from instances.api.paging import complete_list
from instances.api.path_variants import INSTANCE_BY_ID, INSTANCE_OF_TOKEN, operation
from instances.api.responses import BODY, PLATFORM, answers
from instances.api.security import PLATFORM_CALL
from instances.models import Instance
from instances.provisioning.update import update_instance
from instances.wire import Document, InstanceBody

router = Router(tags=["Configuration of instances"], by_alias=True, auth=PLATFORM_CALL)
VARIANTS = (INSTANCE_BY_ID, INSTANCE_OF_TOKEN)


class EntryChange(Document):
    """`{"propertyValue": "true"}` or the whole entry; null changes nothing."""

    property_value: str | bool | int | None = None


@operation(
    router,
    "GET",
    VARIANTS,
    "/configuration",
    response=answers(list[InstanceConfigurationDocument], 404),
)
def list_configuration(
    request: HttpRequest, instance: Instance, response: HttpResponse
) -> list[InstanceConfigurationDocument]:
    """List every configuration key of the instance's element, set or not.

    Secrets are masked.
    """
    entries = InstanceConfigurationDocument.all_of(instance)
    return complete_list(response, entries, things="configuration")


@operation(
    router,
    "GET",
    VARIANTS,
    "/configuration/{int:entry_id}",
    response=answers(InstanceConfigurationDocument, 404),
)
def read_entry(
    request: HttpRequest, instance: Instance, entry_id: int
) -> InstanceConfigurationDocument:
    """Get one configuration entry."""
    return _entry(instance, entry_id)


@operation(
    router,
    "PATCH",
    VARIANTS,
    "/configuration/{int:entry_id}",
    response=answers(InstanceConfigurationDocument, 404, *BODY, *PLATFORM),
)
def change_entry(
    request: HttpRequest, instance: Instance, entry_id: int, change: EntryChange
) -> InstanceConfigurationDocument:
    """Change one configuration value. The provider is not contacted."""
    key = _entry(instance, entry_id).key
    if key.startswith("authentication."):
        raise BadRequest(f"{key} cannot be changed; create a new instance instead")
    update_instance(
        instance,
        InstanceBody(configuration={key: change.property_value}),
        actor=require_caller(request).actor,
        is_reauthenticating=False,
    )
    instance.refresh_from_db()
    return _entry(instance, entry_id)


def _entry(instance: Instance, entry_id: int) -> InstanceConfigurationDocument:
    for entry in InstanceConfigurationDocument.all_of(instance):
        if entry.id == entry_id:
            return entry
    raise NotFoundError(f"No configuration found with ID {entry_id}")
