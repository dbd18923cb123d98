"""Responses with the bytes of files, which only Salesforce has (contract for hubs, 3)."""

from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from instances.api.authentication import require_caller_of_hub
from instances.api.proxy import RelayedResponse
from instances.errors import HubCallRefusedError
from instances.hubs.hub import Hub, open_hub
from instances.hubs.salesforce_files import ATTACHMENT, VERSION
from instances.models import Instance
from instances.platforms.transport import StreamedAnswer

_LATEST = "latest-version"


def bytes_at(
    request: HttpRequest, instance: Instance, resource: str, record_id: str, *below: str
) -> HttpResponseBase | None:
    """Answer with the bytes of a file; None if a path names something else.

    Paths: /files/{id}, in the latest version; /files/{id}/versions/{id}, or latest-version; /attachments/{id}/data.
    """
    api = instance.element.parsed.hub_api
    if api is None or api.vendor != "salesforce":
        # The hub call says so, once the instance is known to be usable: 403 comes before 404.
        return None
    is_attachment = resource in api.resources and api.resources[resource].object == ATTACHMENT
    if resource == "files" and not below:
        return _bytes(request, instance, lambda hub: _opened(hub, record_id, _LATEST))
    if resource == "files" and len(below) == 2 and below[0] == "versions":
        return _bytes(request, instance, lambda hub: _opened(hub, record_id, below[1]))
    if is_attachment and below == ("data",):
        return _bytes(request, instance, lambda hub: hub.files.open(ATTACHMENT, record_id))
    return None


def _opened(hub: Hub, document_id: str, version_id: str) -> StreamedAnswer:
    return hub.files.open(VERSION, version_of(hub, document_id, version_id))


def version_of(hub: Hub, document_id: str, version_id: str) -> str:
    """Return the id of a version of a file. Raises HubCallRefusedError (404) for one of another file."""
    if version_id == _LATEST:
        return hub.files.latest_version(document_id)
    # Salesforce takes its ids with 15 characters, and with 3 more.
    if hub.files.document_of(version_id)[:15] != document_id[:15]:
        raise HubCallRefusedError(
            f"No version found with ID {version_id[:100]}", http_status=HTTPStatus.NOT_FOUND
        )
    return version_id


def _bytes(
    request: HttpRequest, instance: Instance, opened: Callable[[Hub], StreamedAnswer]
) -> HttpResponseBase:
    stack = ExitStack()
    try:
        answer = opened(
            stack.enter_context(open_hub(instance, actor=require_caller_of_hub(request).actor))
        )
    except BaseException:
        stack.close()
        raise
    return RelayedResponse(answer, stack.close)
