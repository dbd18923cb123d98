"""Hub calls: the records of an instance (contract for hubs, 1 to 7)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import register_converter
from django.urls.converters import StringConverter
from ninja import Query, Router
from ninja.params.functions import Body

from instances.api.authentication import require_caller_of_hub
from instances.api.documents.hub_calls import FieldDocument, ObjectDocument
from instances.api.file_bytes import bytes_at
from instances.api.hub_paths import PLATFORM_NAMES
from instances.api.parameters import (
    ListParameters,
    MetadataParameters,
    ObjectsParameters,
    QueryParameters,
    RecordParameters,
)
from instances.api.path_variants import HUB_CALLS, operation
from instances.api.responses import BODY, PLATFORM, answers
from instances.api.security import RESOURCE_CALL
from instances.catalogue.hub_api import RESERVED_NAMES
from instances.hubs.hub import Hub, RecordsPage, hub_api_of, open_hub
from instances.models import Instance


class ResourceConverter(StringConverter):
    """A segment that can name a resource: none of the platform's paths begins with it."""

    regex = f"(?!(?:{'|'.join(sorted(RESERVED_NAMES | PLATFORM_NAMES))})(?:/|$))[^/]+"


register_converter(ResourceConverter, "resource_name")
router = Router(tags=["Hub calls"], by_alias=True, auth=RESOURCE_CALL)

RECORD = dict[str, Any]
READ = answers(RECORD, 404, 405, 503, *PLATFORM)
READ_LIST = answers(list[RECORD], 404, 405, 503, *PLATFORM)
WRITE = answers(RECORD, 404, 405, 503, *BODY, *PLATFORM)
DELETE = answers(None, 404, 405, 503, *PLATFORM)
Written = Annotated[RECORD, Body(description="The fields of the record, in the element's form")]
# Both merge: fields that the body does not name stay as they are.
UPDATES = ("PATCH", "PUT")


@operation(
    router,
    "GET",
    HUB_CALLS,
    "/objects",
    response=answers(list[str] | list[ObjectDocument], 404, 503, *PLATFORM),
)
def list_objects(
    request: HttpRequest, instance: Instance, search: Query[ObjectsParameters]
) -> HttpResponse:
    """List the names of all resources.

    `getall=true` adds all objects of the provider. With `Elements-Version: Helium`, each has its own name there.
    """
    api = hub_api_of(instance.element)
    names = {name: resource.object for name, resource in sorted(api.resources.items())}
    if search.getall and api.any_object:
        with _open(request, instance) as hub:
            names |= {name: name for name in hub.object_names()}
    if request.headers.get("Elements-Version", "").lower() == "helium":
        documents = [ObjectDocument(name=n, vendor_name=v) for n, v in names.items()]
        return JsonResponse([one.model_dump(by_alias=True) for one in documents], safe=False)
    return JsonResponse(list(names), safe=False)


@operation(
    router,
    "GET",
    HUB_CALLS,
    "/objects/{name}/metadata",
    response=answers(dict[str, list[FieldDocument]], 404, 503, *PLATFORM),
)
def read_object_metadata(
    request: HttpRequest, instance: Instance, name: str, search: Query[MetadataParameters]
) -> HttpResponse:
    """Describe the fields of an object, by the name of its resource or the provider's."""
    with _open(request, instance) as hub:
        metadata = hub.describe(name)
    fields = [
        FieldDocument.of(field).model_dump(by_alias=True, exclude_none=True)
        for field in metadata.fields.values()
        if field.is_custom or not search.custom_fields_only
    ]
    return JsonResponse({"fields": fields})


@operation(router, "GET", HUB_CALLS, "/query", response=READ_LIST)
def query_records(
    request: HttpRequest, instance: Instance, search: Query[QueryParameters]
) -> HttpResponse:
    """Run a query in Salesforce's own language, a page at a time. Other elements have none: 404."""
    with _open(request, instance) as hub:
        return _list(hub.query(search.given))


@operation(router, "GET", HUB_CALLS, "/{resource_name:resource}", response=READ_LIST)
def list_records(
    request: HttpRequest, instance: Instance, resource: str, search: Query[ListParameters]
) -> HttpResponse:
    """List records, a page at a time."""
    with _open(request, instance) as hub:
        return _list(hub.list_records(resource, search.given))


@operation(router, "POST", HUB_CALLS, "/{resource_name:resource}", response=WRITE)
def create_record(
    request: HttpRequest, instance: Instance, resource: str, body: Written
) -> HttpResponse:
    """Create a record. The answer is the record."""
    with _open(request, instance) as hub:
        return JsonResponse(hub.create(resource, body))


@operation(router, "GET", HUB_CALLS, "/{resource_name:resource}/{record_id}", response=READ)
def read_record(
    request: HttpRequest,
    instance: Instance,
    resource: str,
    record_id: str,
    search: Query[RecordParameters],
) -> HttpResponseBase:
    """Get a record. `fields` narrows it. Of `files` of Salesforce, the bytes of the latest version."""
    if found := bytes_at(request, instance, resource, record_id):
        return found
    with _open(request, instance) as hub:
        return JsonResponse(hub.read(resource, record_id, search.given))


def update_record(
    request: HttpRequest, instance: Instance, resource: str, record_id: str, body: Written
) -> HttpResponse:
    """Change the fields that the body names. The answer is the record."""
    with _open(request, instance) as hub:
        return JsonResponse(hub.update(resource, record_id, body))


@operation(router, "DELETE", HUB_CALLS, "/{resource_name:resource}/{record_id}", response=DELETE)
def delete_record(
    request: HttpRequest, instance: Instance, resource: str, record_id: str
) -> HttpResponse:
    """Delete a record."""
    with _open(request, instance) as hub:
        hub.delete(resource, record_id)
    return HttpResponse()


@operation(
    router, "GET", HUB_CALLS, "/{resource_name:resource}/{record_id}/{child}", response=READ_LIST
)
def list_children(
    request: HttpRequest,
    instance: Instance,
    resource: str,
    record_id: str,
    child: str,
    search: Query[ListParameters],
) -> HttpResponseBase:
    """List the records that belong to a record, a page at a time. Of an attachment, `data` has the bytes."""
    if found := bytes_at(request, instance, resource, record_id, child):
        return found
    with _open(request, instance) as hub:
        return _list(hub.list_children(resource, record_id, child, search.given))


@operation(
    router, "POST", HUB_CALLS, "/{resource_name:resource}/{record_id}/{child}", response=WRITE
)
def create_child(
    request: HttpRequest,
    instance: Instance,
    resource: str,
    record_id: str,
    child: str,
    body: Written,
) -> HttpResponse:
    """Create a record that belongs to a record. The answer is the new record."""
    with _open(request, instance) as hub:
        return JsonResponse(hub.create_child(resource, record_id, child, body))


@operation(
    router,
    "GET",
    HUB_CALLS,
    "/{resource_name:resource}/{record_id}/{child}/{child_id}",
    response=READ,
)
def read_child(
    request: HttpRequest,
    instance: Instance,
    resource: str,
    record_id: str,
    child: str,
    child_id: str,
    search: Query[RecordParameters],
) -> HttpResponseBase:
    """Get a record that belongs to a record. Of `versions` of a file, the bytes.

    `files/details` of a record of Salesforce lists its files.
    """
    if found := bytes_at(request, instance, resource, record_id, child, child_id):
        return found
    with _open(request, instance) as hub:
        if hub.has_files and (child, child_id) == ("files", "details"):
            return _list(hub.linked_files(resource, record_id, request.GET.dict()))
        record = hub.read_child(resource, record_id, child, child_id, search.given)
        return JsonResponse(record)


@operation(
    router,
    "POST",
    HUB_CALLS,
    "/{resource_name:resource}/{record_id}/{child}/{child_id}",
    response=WRITE,
)
def link_child(
    request: HttpRequest,
    instance: Instance,
    resource: str,
    record_id: str,
    child: str,
    child_id: str,
) -> HttpResponse:
    """Link a file to a record of Salesforce. The answer is the link."""
    with _open(request, instance) as hub:
        return JsonResponse(hub.link_file(resource, record_id, child, child_id))


def update_child(
    request: HttpRequest,
    instance: Instance,
    resource: str,
    record_id: str,
    child: str,
    child_id: str,
    body: Written,
) -> HttpResponse:
    """Change the fields that the body names, of a record that belongs to a record. The answer is the record."""
    with _open(request, instance) as hub:
        return JsonResponse(hub.update_child(resource, record_id, child, child_id, body))


@operation(
    router,
    "DELETE",
    HUB_CALLS,
    "/{resource_name:resource}/{record_id}/{child}/{child_id}",
    response=DELETE,
)
def delete_child(
    request: HttpRequest,
    instance: Instance,
    resource: str,
    record_id: str,
    child: str,
    child_id: str,
) -> HttpResponse:
    """Delete a record that belongs to a record."""
    with _open(request, instance) as hub:
        hub.delete_child(resource, record_id, child, child_id)
    return HttpResponse()


def _register(view: Callable[..., HttpResponse], path: str) -> None:
    for method in UPDATES:
        operation(
            router,
            method,
            HUB_CALLS,
            path,
            name=f"{view.__name__}_{method.lower()}",
            response=WRITE,
        )(view)


_register(update_record, "/{resource_name:resource}/{record_id}")
_register(update_child, "/{resource_name:resource}/{record_id}/{child}/{child_id}")


def _open(request: HttpRequest, instance: Instance) -> AbstractContextManager[Hub]:
    return open_hub(instance, actor=require_caller_of_hub(request).actor)


def _list(page: RecordsPage) -> HttpResponse:
    response = JsonResponse(page.records, safe=False)
    response["Elements-Returned-Count"] = str(len(page.records))
    if page.total is not None:
        response["Elements-Total-Count"] = str(page.total)
    if page.next_page:
        response["Elements-Next-Page-Token"] = page.next_page
    return response
