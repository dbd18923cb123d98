"""Swagger 2.0 documents of elements, instances and objects (contract 8.2; contract for hubs, 2)."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from ninja import Query, Router

from instances.api.authentication import require_caller_of_hub
from instances.api.documents.instances import SwaggerDocument
from instances.api.errors import NotFoundError
from instances.api.parameters import KeyOrId, SwaggerParameters
from instances.api.path_variants import (
    HUB_CALLS,
    INSTANCE_BY_ID,
    INSTANCE_OF_TOKEN,
    operation,
)
from instances.api.responses import PLATFORM, answers
from instances.api.security import PLATFORM_CALL, RESOURCE_CALL
from instances.api.visible import get_element, visible_elements
from instances.catalogue.definition import ElementDefinition
from instances.hubs import swagger
from instances.hubs.fields import ObjectMetadata
from instances.hubs.hub import hub_api_of, open_hub
from instances.models import Instance

router = Router(tags=["Swagger documents"], by_alias=True, auth=PLATFORM_CALL)
DOCS = answers(SwaggerDocument, 404)
VARIANTS = (INSTANCE_BY_ID, INSTANCE_OF_TOKEN)


@operation(router, "GET", VARIANTS, "/docs", response=DOCS)
def read_docs(
    request: HttpRequest, instance: Instance, search: Query[SwaggerParameters]
) -> SwaggerDocument:
    """Get the Swagger 2.0 document of an instance: its resources, and what can be done with them."""
    definition = instance.element.parsed
    return _document(definition, swagger.paths_of(definition), search)


@operation(router, "GET", VARIANTS, "/docs/{operation_id}", response=DOCS)
def read_docs_of_operation(
    request: HttpRequest, instance: Instance, operation_id: str, search: Query[SwaggerParameters]
) -> SwaggerDocument:
    """Get one operation of the Swagger document of an instance."""
    return _document_of_operation(instance.element.parsed, operation_id, search)


@router.get("/elements/{key_or_id}/docs", response=DOCS, auth=None)
def read_element_docs(
    request: HttpRequest, key_or_id: KeyOrId, search: Query[SwaggerParameters]
) -> SwaggerDocument:
    """Get the Swagger 2.0 document of an element."""
    definition = get_element(request, key_or_id).parsed
    return _document(definition, swagger.paths_of(definition), search)


@router.get("/elements/{key_or_id}/docs/{operation_id}", response=DOCS, auth=None)
def read_element_docs_of_operation(
    request: HttpRequest, key_or_id: KeyOrId, operation_id: str, search: Query[SwaggerParameters]
) -> SwaggerDocument:
    """Get one operation of the Swagger document of an element."""
    return _document_of_operation(get_element(request, key_or_id).parsed, operation_id, search)


@router.get("/docs/{hub}", response=DOCS, auth=None)
def read_hub_docs(
    request: HttpRequest, hub: str, search: Query[SwaggerParameters]
) -> SwaggerDocument:
    """Get the Swagger 2.0 document of a hub: what can be done with at least one of its elements."""
    definitions = _definitions_of_hub(request, hub)
    return _document_of_hub(hub, definitions, swagger.paths_of_hub(definitions), search)


@router.get("/docs/{hub}/{operation_id}", response=DOCS, auth=None)
def read_hub_docs_of_operation(
    request: HttpRequest, hub: str, operation_id: str, search: Query[SwaggerParameters]
) -> SwaggerDocument:
    """Get one operation of the Swagger document of a hub."""
    definitions = _definitions_of_hub(request, hub)
    paths = _paths_of_operation(swagger.paths_of_hub(definitions), operation_id)
    return _document_of_hub(hub, definitions, paths, search)


@operation(
    router,
    "GET",
    HUB_CALLS,
    "/objects/{name}/docs",
    auth=RESOURCE_CALL,
    response=answers(SwaggerDocument, 404, 503, *PLATFORM),
)
def read_object_docs(
    request: HttpRequest, instance: Instance, name: str, search: Query[SwaggerParameters]
) -> SwaggerDocument:
    """Get the Swagger 2.0 document of one object, with its fields."""
    with open_hub(instance, actor=require_caller_of_hub(request).actor) as hub:
        metadata = hub.describe(name)
    paths = swagger.paths_of_resource(hub_api_of(instance.element), name)
    return _document(instance.element.parsed, paths, search, metadata={name: metadata})


def _definitions_of_hub(request: HttpRequest, hub: str) -> list[ElementDefinition]:
    """Return the definitions of a hub's visible elements. Raises NotFoundError if it has none."""
    elements = visible_elements(request).filter(hub=hub).order_by("key")
    definitions = [element.parsed for element in elements]
    if not definitions:
        raise NotFoundError(f"No hub found with key {hub}")
    return definitions


def _document_of_operation(
    definition: ElementDefinition, operation_id: str, search: SwaggerParameters
) -> SwaggerDocument:
    paths = _paths_of_operation(swagger.paths_of(definition), operation_id)
    return _document(definition, paths, search)


def _paths_of_operation(paths: swagger.Paths, operation_id: str) -> swagger.Paths:
    found = swagger.only_operation(paths, operation_id)
    if not found:
        raise NotFoundError(f"No operation found with ID {operation_id}")
    return found


def _document_of_hub(
    hub: str,
    definitions: Sequence[ElementDefinition],
    paths: swagger.Paths,
    search: SwaggerParameters,
) -> SwaggerDocument:
    return _with_server(hub, paths, swagger.definitions_of_hub(definitions), search)


def _document(
    definition: ElementDefinition,
    paths: swagger.Paths,
    search: SwaggerParameters,
    *,
    metadata: dict[str, ObjectMetadata] | None = None,
) -> SwaggerDocument:
    models = swagger.definitions_of(definition, metadata)
    return _with_server(definition.name, paths, models, search)


def _with_server(
    title: str, paths: swagger.Paths, models: dict[str, Any], search: SwaggerParameters
) -> SwaggerDocument:
    scheme, host = _server_of(search.base_url or settings.PUBLIC_URL)
    return SwaggerDocument(
        info={"title": title, "version": "api-v2"},
        host=host,
        schemes=[scheme],
        base_path=swagger.BASE_PATH,
        paths=paths,
        definitions=models,
    )


def _server_of(url: str) -> tuple[str, str]:
    """Return scheme and host. Raises BadRequest."""
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    except ValueError:
        is_server = None
    if not is_server:
        raise BadRequest("baseUrl must be a URL that begins with https:// or http://")
    return parts.scheme, parts.netloc
