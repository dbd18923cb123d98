"""Hub calls with files, which only Salesforce has (contract for hubs, 3)."""

from contextlib import AbstractContextManager
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from ninja import Query, Router

from instances.api.authentication import require_caller_of_hub, require_hub_instance
from instances.api.file_bytes import version_of
from instances.api.hub_calls import READ, UPDATES, WRITE, Written
from instances.api.hub_paths import takes_file
from instances.api.parameters import RecordParameters
from instances.api.path_variants import HUB_CALLS, operation
from instances.api.proxy import too_large
from instances.api.security import HUB_CALL, RESOURCE_CALL
from instances.hubs.hub import Hub, open_hub
from instances.hubs.salesforce_files import ATTACHMENT, DOCUMENT, VERSION
from instances.models import Instance
from instances.queries.connection_slots import release_connection

router = Router(tags=["Hub calls"], by_alias=True, auth=RESOURCE_CALL)


@operation(router, "GET", HUB_CALLS, "/files/{record_id}/metadata", response=READ)
def read_file_metadata(
    request: HttpRequest, instance: Instance, record_id: str, search: Query[RecordParameters]
) -> HttpResponse:
    """Get the record of a file."""
    with _open(request, instance) as hub:
        return JsonResponse(hub.read(DOCUMENT, record_id, search.given))


@operation(
    router,
    "GET",
    HUB_CALLS,
    "/files/{record_id}/versions/{version_id}/metadata",
    response=READ,
)
def read_file_version_metadata(
    request: HttpRequest,
    instance: Instance,
    record_id: str,
    version_id: str,
    search: Query[RecordParameters],
) -> HttpResponse:
    """Get the record of one version of a file, or of its `latest-version`."""
    with _open(request, instance) as hub:
        return JsonResponse(hub.read(VERSION, version_of(hub, record_id, version_id), search.given))


def update_file_metadata(
    request: HttpRequest, instance: Instance, record_id: str, body: Written
) -> HttpResponse:
    """Change the record of a file, such as its `Title`."""
    with _open(request, instance) as hub:
        return JsonResponse(hub.update(DOCUMENT, record_id, body))


def update_file_version_metadata(
    request: HttpRequest, instance: Instance, record_id: str, version_id: str, body: Written
) -> HttpResponse:
    """Change the record of one version of a file."""
    with _open(request, instance) as hub:
        return JsonResponse(hub.update(VERSION, version_of(hub, record_id, version_id), body))


for _method in UPDATES:
    for _view, _path in (
        (update_file_metadata, "/files/{record_id}/metadata"),
        (update_file_version_metadata, "/files/{record_id}/versions/{version_id}/metadata"),
    ):
        _name = f"{_view.__name__}_{_method.lower()}"
        operation(router, _method, HUB_CALLS, _path, name=_name, response=WRITE)(_view)


@router.post("/uploads/{path:path}", include_in_schema=False, auth=HUB_CALL)
def upload(request: HttpRequest, path: str) -> HttpResponseBase:
    """Create a file from the part `file` of a form (middleware.py). The answer is its record."""
    if not takes_file(path):
        raise Http404
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_CALL_MAX_BODY_BYTES:
        return too_large(request)
    instance, file = require_hub_instance(request), _file_of(request)
    with _open(request, instance) as hub:
        return JsonResponse(_created(hub, path.split("/"), file, request.GET.dict()))


def _created(
    hub: Hub, path: list[str], file: "UploadedFile[Any]", given: dict[str, str]
) -> dict[str, Any]:
    """Create what a path says: a file, a version of one, a file of a record, or an attachment of one."""
    content = cast(BinaryIO, file)
    name = given.get("pathOnClient") or file.name or ""
    description = {"Description": given.get("description", "")}
    if path[-1] == "attachments":
        fields = description | {"ParentId": path[1], "Name": name.rpartition("/")[2]}
        made = hub.files.create(ATTACHMENT, content, file_name=name, fields=fields)
        return hub.read(ATTACHMENT, made, {})
    fields = description | {"PathOnClient": name, "ReasonForChange": given.get("reason", "")}
    if path[-1] == "versions":
        fields["ContentDocumentId"] = path[1]
    elif len(path) > 1:
        fields["FirstPublishLocationId"] = path[1]
    version = hub.files.create(VERSION, content, file_name=name, fields=fields)
    if path[-1] == "versions":
        return hub.read(VERSION, version, {})
    document = hub.files.document_of(version)
    if len(path) > 1:
        return {"ContentDocumentId": document, "LinkedEntityId": path[1], "id": document}
    return hub.read(DOCUMENT, document, {})


def _file_of(request: HttpRequest) -> "UploadedFile[Any]":
    # A client may take its time with its file.
    release_connection()
    try:
        file = request.FILES.get("file")
    except UnreadablePostError:
        raise BadRequest("The body could not be read") from None
    if not isinstance(file, UploadedFile):
        raise BadRequest("The form has no part “file” with a file")
    return file


def _open(request: HttpRequest, instance: Instance) -> AbstractContextManager[Hub]:
    return open_hub(instance, actor=require_caller_of_hub(request).actor)
