"""Switches, health, interactions and docs of an instance (contract 8.2)."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router

from instances.api import documents
from instances.api.authentication import require_caller
from instances.api.errors import NotFoundError
from instances.api.instances import actor_of, get_instance, own_instance
from instances.api.middleware import API_PREFIX
from instances.api.paging import page_response
from instances.api.parameters import Page
from instances.api.responses import BODY, PLATFORM, answers
from instances.api.schemas import InstanceHealthDocument, InteractionDocument, SwaggerDocument
from instances.api.security import (
    INTERACTION_CALL,
    OWN_INSTANCE_CALL,
    PLATFORM_CALL,
    SWITCH_CALL,
)
from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.switches import set_enabled, set_trace_logging

router = Router(tags=["Instances"], by_alias=True, auth=PLATFORM_CALL)
DOCS = answers(SwaggerDocument, 404)


def _named(request: HttpRequest, instance_id: int | None) -> Instance:
    """Get the instance that the path names, or else the Element token's."""
    if instance_id is None:
        return own_instance(request)
    return get_instance(require_caller(request).organization_user, instance_id)


def _add_operation(
    method: str,
    path: str,
    view: Callable[[HttpRequest, int | None], HttpResponse],
    name: str,
) -> None:
    """Add an operation under both of its paths.

    `/instances/{id}/…`, and `/instances/…` with an Element token.
    """

    def of_id(request: HttpRequest, instance_id: int) -> HttpResponse:
        return view(request, instance_id)

    def of_token(request: HttpRequest) -> HttpResponse:
        return view(request, None)

    empty = answers(None, 404, *PLATFORM, *(BODY if method == "PUT" else ()))
    for suffix, operation, route, auth in (
        ("", of_id, f"/instances/{{int:instance_id}}/{path}", SWITCH_CALL),
        ("_of_token", of_token, f"/instances/{path}", OWN_INSTANCE_CALL),
    ):
        router.api_operation(
            [method],
            route,
            response=empty,
            auth=auth,
            operation_id=f"{name}{suffix}",
            summary=view.__doc__,
        )(operation)


def _enable(request: HttpRequest, instance_id: int | None) -> HttpResponse:
    """Enable"""
    return _switch_enabled(request, instance_id, is_enabled=True)


def _disable(request: HttpRequest, instance_id: int | None) -> HttpResponse:
    """Disable"""
    return _switch_enabled(request, instance_id, is_enabled=False)


def _switch_enabled(
    request: HttpRequest, instance_id: int | None, *, is_enabled: bool
) -> HttpResponse:
    instance = _named(request, instance_id)
    set_enabled(instance, is_enabled=is_enabled, actor=actor_of(require_caller(request)))
    return HttpResponse()


def _trace(request: HttpRequest, instance_id: int | None) -> HttpResponse:
    """Enable trace logging"""
    set_trace_logging(_named(request, instance_id), is_on=True)
    return HttpResponse()


def _untrace(request: HttpRequest, instance_id: int | None) -> HttpResponse:
    """Disable trace logging"""
    set_trace_logging(_named(request, instance_id), is_on=False)
    return HttpResponse()


_add_operation("PUT", "enabled", _enable, "enable")
_add_operation("DELETE", "enabled", _disable, "disable")
_add_operation("PUT", "trace-logging", _trace, "trace")
_add_operation("DELETE", "trace-logging", _untrace, "untrace")


@router.get("/instances/{int:instance_id}/health", response=answers(InstanceHealthDocument, 404))
def read_health(request: HttpRequest, instance_id: int) -> HttpResponse:
    """Get the health of an instance.

    Its state, the cause, who must act, and the next scheduled work.

    Not part of the vendor's API.
    """
    instance = get_instance(require_caller(request).organization_user, instance_id)
    return JsonResponse(documents.health_document(instance))


@router.get(
    "/instances/{int:instance_id}/interactions",
    response=answers(list[InteractionDocument], 404),
    auth=INTERACTION_CALL,
)
def list_interactions(request: HttpRequest, instance_id: int, page: Query[Page]) -> HttpResponse:
    """List the recorded exchanges of an instance, newest first and redacted.

    Not part of the vendor's API.
    """
    instance = get_instance(require_caller(request).organization_user, instance_id)
    return page_response(
        Interaction.objects.of_instance(instance),
        page,
        documents.interaction_document,
        things="interactions",
        is_descending=True,
    )


@router.get("/instances/{int:instance_id}/docs", response=DOCS)
def read_docs(request: HttpRequest, instance_id: int) -> HttpResponse:
    """Get the Swagger 2.0 document of an instance.

    It has no operations, since hub calls are not served here.
    """
    return _docs(_named(request, instance_id))


@router.get("/instances/docs", response=DOCS, auth=OWN_INSTANCE_CALL)
def read_docs_of_token(request: HttpRequest) -> HttpResponse:
    """Get the Swagger 2.0 document of the Element token's instance.

    It has no operations.
    """
    return _docs(_named(request, None))


@router.get("/instances/{int:instance_id}/docs/{operation_id}", response=DOCS)
def read_docs_of_operation(
    request: HttpRequest, instance_id: int, operation_id: str
) -> HttpResponse:
    """Get one operation of the Swagger document. Always 404, since it has none."""
    _named(request, instance_id)
    raise NotFoundError(f"No operation found with ID {operation_id}")


def _docs(instance: Instance) -> HttpResponse:
    return JsonResponse(
        {
            "swagger": "2.0",
            "info": {"title": instance.element.name, "version": "api-v2"},
            "basePath": f"{API_PREFIX}/hubs/{instance.element.hub}",
            "paths": {},
            "definitions": {},
        }
    )
