"""Swagger 2.0 documents of elements, instances and objects (contract 8.2; contract for hubs, 2)."""

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
from instances.api.visible import get_element
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


def _document_of_operation(
    definition: ElementDefinition, operation_id: str, search: SwaggerParameters
) -> SwaggerDocument:
    paths = swagger.only_operation(swagger.paths_of(definition), operation_id)
    if not paths:
        raise NotFoundError(f"No operation found with ID {operation_id}")
    return _document(definition, paths, search)


def _document(
    definition: ElementDefinition,
    paths: swagger.Paths,
    search: SwaggerParameters,
    *,
    metadata: dict[str, ObjectMetadata] | None = None,
) -> SwaggerDocument:
    scheme, host = _server_of(search.base_url or settings.PUBLIC_URL)
    return SwaggerDocument(
        info={"title": definition.name, "version": "api-v2"},
        host=host,
        schemes=[scheme],
        base_path=swagger.BASE_PATH,
        paths=paths,
        definitions=swagger.definitions_of(definition, metadata),
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
