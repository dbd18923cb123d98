"""Switches, health and interactions of an instance (contract 8.2)."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from ninja import Body, Query, Router

from instances.api.authentication import require_caller
from instances.api.documents.instances import (
    InstanceHealthDocument,
    InteractionDocument,
    TraceLoggingBody,
)
from instances.api.paging import page_of_rows
from instances.api.parameters import Page
from instances.api.path_variants import INSTANCE_BY_ID, INSTANCE_OF_TOKEN, operation
from instances.api.responses import BODY, PLATFORM, answers
from instances.api.security import INTERACTION_CALL, PLATFORM_CALL, SWITCH_CALL
from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.switches import (
    TRACE_DURATION,
    set_enabled,
    set_trace_logging,
)

router = Router(tags=["Instances"], by_alias=True, auth=PLATFORM_CALL)
VARIANTS = (INSTANCE_BY_ID, INSTANCE_OF_TOKEN)
ONLY_BY_ID = (INSTANCE_BY_ID,)
SWITCH_ON = answers(None, 404, *BODY, *PLATFORM)
SWITCH_OFF = answers(None, 404, *PLATFORM)


@operation(router, "PUT", VARIANTS, "/enabled", auth=SWITCH_CALL, response=SWITCH_ON)
def enable(request: HttpRequest, instance: Instance) -> HttpResponse:
    """Enable an instance."""
    set_enabled(instance, is_enabled=True, actor=require_caller(request).actor)
    return HttpResponse()


@operation(router, "DELETE", VARIANTS, "/enabled", auth=SWITCH_CALL, response=SWITCH_OFF)
def disable(request: HttpRequest, instance: Instance) -> HttpResponse:
    """Disable an instance."""
    set_enabled(instance, is_enabled=False, actor=require_caller(request).actor)
    return HttpResponse()


@operation(
    router,
    "PUT",
    VARIANTS,
    "/trace-logging",
    auth=SWITCH_CALL,
    response=SWITCH_ON,
    summary="Enable trace logging",
)
def trace(
    request: HttpRequest, instance: Instance, body: Body[TraceLoggingBody | None] = None
) -> HttpResponse:
    """Record the bodies of proxy and hub calls for a while: up to 64 KiB of each, redacted."""
    duration = timedelta(minutes=body.duration) if body and body.duration else TRACE_DURATION
    set_trace_logging(instance, is_on=True, duration=duration)
    return HttpResponse()


@operation(
    router,
    "DELETE",
    VARIANTS,
    "/trace-logging",
    auth=SWITCH_CALL,
    response=SWITCH_OFF,
    summary="Disable trace logging",
)
def untrace(request: HttpRequest, instance: Instance) -> HttpResponse:
    """Record no more bodies. What was recorded stays."""
    set_trace_logging(instance, is_on=False)
    return HttpResponse()


@operation(router, "GET", ONLY_BY_ID, "/health", response=answers(InstanceHealthDocument, 404))
def read_health(request: HttpRequest, instance: Instance) -> InstanceHealthDocument:
    """Get the health of an instance.

    Its state, the cause, who must act, and the next scheduled work.

    Not part of the vendor's API.
    """
    return InstanceHealthDocument.of(instance)


@operation(
    router,
    "GET",
    ONLY_BY_ID,
    "/interactions",
    auth=INTERACTION_CALL,
    response=answers(list[InteractionDocument], 404),
)
def list_interactions(
    request: HttpRequest, instance: Instance, response: HttpResponse, page: Query[Page]
) -> list[InteractionDocument]:
    """List the recorded exchanges of an instance, newest first and redacted.

    Not part of the vendor's API.
    """
    rows = page_of_rows(
        response,
        Interaction.objects.of_instance(instance),
        page,
        things="interactions",
        is_descending=True,
    )
    return [InteractionDocument.of(row) for row in rows]
