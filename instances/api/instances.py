"""`/instances` and `/elements/{keyOrId}/instances` (contract 7 and 8.2)."""

import json
from typing import Annotated

from django.core.exceptions import BadRequest
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from ninja.params.functions import Header

from instances.api import examples
from instances.api.authentication import Caller, require_caller
from instances.api.documents.instances import (
    ElementCountDocument,
    InstanceCountDocument,
    InstanceDocument,
)
from instances.api.paging import page_of_rows
from instances.api.parameters import InstanceChange, InstanceSearch, indexed
from instances.api.path_variants import (
    INSTANCE_BY_ID,
    INSTANCE_OF_ELEMENT,
    INSTANCE_OF_TOKEN,
    INSTANCES,
    operation,
)
from instances.api.responses import BODY, PLATFORM, answers
from instances.api.security import PLATFORM_CALL
from instances.api.visible import VISIBLE, as_stored, shown_token, visible_instances
from instances.models import Element, Instance
from instances.provisioning import idempotency, update
from instances.provisioning.lifecycle import delete
from instances.wire import InstanceBody

router = Router(tags=["Instances"], by_alias=True, auth=PLATFORM_CALL)
WRITE = answers(InstanceDocument, 404, *BODY, *PLATFORM)
# `GET /instances` with an Element token is a list as well.
READABLE = (INSTANCE_BY_ID, INSTANCE_OF_ELEMENT)
ALL = (*READABLE, INSTANCE_OF_TOKEN)
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="Any unique text. Repeating the request with the same key within 24 hours returns the same "
        "instance",
    ),
]


@operation(router, "POST", INSTANCES, response=WRITE, openapi_extra=examples.CREATE)
def create_instance(
    request: HttpRequest,
    element: Element | None,
    body: InstanceBody,
    idempotency_key: IdempotencyKey = "",
) -> InstanceDocument:
    """Provision an instance. An element in the path takes precedence over one in the body."""
    caller = require_caller(request)
    # The same JSON is the same body, whatever its white space and the order of its names.
    text = json.dumps(json.loads(request.body), sort_keys=True)
    instance = idempotency.create_instance_once(
        caller.organization_user,
        body,
        key=idempotency_key,
        body_text=f"{request.path_info}\n{text}",
        actor=caller.actor,
        element=element,
    )
    return _document(caller, instance)


@operation(router, "GET", INSTANCES, response=answers(list[InstanceDocument], 404))
def list_instances(
    request: HttpRequest,
    element: Element | None,
    response: HttpResponse,
    search: Query[InstanceSearch],
) -> list[InstanceDocument]:
    """List the caller's instances in order of id."""
    caller = require_caller(request)
    rows = visible_instances(caller.organization_user)
    if element:
        rows = rows.filter(element=element)
    for tag in search.all_tags | indexed(request.GET, "tags"):
        rows = rows.filter(tags__name=tag)
    if text := search.search_text:
        rows = rows.filter(Q(name__icontains=text) | Q(element__key__icontains=text))
    return [
        listed_document(caller, instance, is_hydrated=search.hydrate)
        for instance in page_of_rows(response, rows, search, things="instances")
    ]


@router.get("/instances/count", response=answers(InstanceCountDocument))
def count_instances(request: HttpRequest) -> InstanceCountDocument:
    """Count the caller's instances, in total and by element."""
    rows = require_caller(request).organization_user.instances.filter(VISIBLE)
    counts = (
        rows.order_by("element__key").values("element_id", "element__key").annotate(n=Count("id"))
    )
    per_element = [
        ElementCountDocument(
            element_id=row["element_id"], element_key=row["element__key"], instances=row["n"]
        )
        for row in counts
    ]
    return InstanceCountDocument(
        total_instances=sum(count.instances for count in per_element),
        element_instances=per_element,
    )


@operation(router, "GET", READABLE, response=answers(InstanceDocument, 404))
def read_instance(request: HttpRequest, instance: Instance) -> InstanceDocument:
    """Get an instance."""
    return _document(require_caller(request), instance)


@operation(router, "PUT", ALL, name="put_instance", response=WRITE, openapi_extra=examples.UPDATE)
@operation(router, "PATCH", ALL, response=WRITE, openapi_extra=examples.UPDATE)
def update_instance(
    request: HttpRequest, instance: Instance, body: InstanceBody, change: Query[InstanceChange]
) -> InstanceDocument:
    """Update an instance.

    Absent fields stay unchanged, and an id in the body is ignored. A new code or changed credentials re-authenticate
    it.
    """
    caller = require_caller(request)
    if body.element and body.element.id not in {None, instance.element_id}:
        raise BadRequest(
            "An instance cannot be moved to another element; create a new instance instead"
        )
    update.update_instance(
        instance, body, actor=caller.actor, is_reauthenticating=change.re_authenticate
    )
    return _document(caller, as_stored(caller.organization_user, instance))


@operation(router, "DELETE", ALL, response=answers(None, 404, *PLATFORM))
def delete_instance(request: HttpRequest, instance: Instance) -> HttpResponse:
    """Delete an instance. Its Element token stops working immediately."""
    delete.delete_instance(instance, actor=require_caller(request).actor)
    return HttpResponse()


def listed_document(caller: Caller, instance: Instance, *, is_hydrated: bool) -> InstanceDocument:
    """Build the document of an instance in a list."""
    token = shown_token(caller, instance, is_listed=True)
    return InstanceDocument.of(instance, token=token, is_hydrated=is_hydrated)


def _document(caller: Caller, instance: Instance) -> InstanceDocument:
    return InstanceDocument.of(instance, token=shown_token(caller, instance))
