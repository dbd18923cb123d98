"""`/instances` and `/elements/{keyOrId}/instances` (contract 7 and 8.2): request to verb, instance to document."""

from typing import Any

from django.core.exceptions import BadRequest
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router

from instances.api import documents
from instances.api.authentication import Caller, require_caller, require_instance
from instances.api.errors import no_instance
from instances.api.paging import page_response
from instances.api.responses import ERRORS
from instances.models import Element, Instance, OrganizationUser
from instances.models.instances import InstanceQuerySet
from instances.provisioning import bodies, idempotency, instances as verbs
from instances.provisioning.elements import find_element
from instances.wire import FullInstanceDocument, InstanceBody

router = Router(tags=["Instances"])
INSTANCE: dict[Any, Any] = {200: FullInstanceDocument, **ERRORS}
INSTANCES: dict[Any, Any] = {200: list[FullInstanceDocument], **ERRORS}
EMPTY: dict[Any, Any] = {200: None, **ERRORS}
MAX_IDEMPOTENCY_KEY_CHARACTERS = 255


def visible_instances(user: OrganizationUser) -> InstanceQuerySet:
    """The instances that the API shows: the user's own, once they have an Element token."""
    rows = Instance.objects.select_related("element", "organization_user__organization")
    rows = rows.prefetch_related("tags").filter(organization_user=user)
    return rows.exclude(token_digest=None).exclude(state=Instance.State.DELETING)


def get_instance(
    user: OrganizationUser, instance_id: int, *, key_or_id: str | None = None
) -> Instance:
    """One visible instance by the id that clients know. Raises NotFoundError."""
    rows = visible_instances(user)
    is_remote = user.organization.is_remote
    rows = rows.filter(remote_id=instance_id) if is_remote else rows.filter(pk=instance_id)
    if key_or_id is not None:
        rows = rows.filter(element=find_element(key_or_id))
    instance = rows.first()
    if instance is None:
        raise no_instance(instance_id)
    return instance


def actor_of(caller: Caller) -> str:
    """Who stands in the records of what an API call did."""
    return f"API: {caller.user.email}"


@router.post("/instances", response=INSTANCE, by_alias=True)
def create_instance(request: HttpRequest, body: InstanceBody) -> HttpResponse:
    """Provision an instance. With an `Idempotency-Key` header, the same request again gives the same one."""
    return _create(request, body)


@router.post("/elements/{key_or_id}/instances", response=INSTANCE, by_alias=True)
def create_instance_of_element(
    request: HttpRequest, key_or_id: str, body: InstanceBody
) -> HttpResponse:
    """Provision an instance of the element in the path."""
    require_caller(request)
    return _create(request, body, element=find_element(key_or_id))


@router.get("/instances", response=INSTANCES, by_alias=True)
def list_instances(request: HttpRequest) -> HttpResponse:
    """The caller's instances. `tags[]`, `searchText`, `hydrate`, `pageSize`, `nextPage`."""
    return _list(request, visible_instances(require_caller(request).user))


@router.get("/elements/{key_or_id}/instances", response=INSTANCES, by_alias=True)
def list_instances_of_element(request: HttpRequest, key_or_id: str) -> HttpResponse:
    """The caller's instances of one element."""
    rows = visible_instances(require_caller(request).user)
    return _list(request, rows.filter(element=find_element(key_or_id)))


@router.get("/instances/count", response={200: dict[str, Any], **ERRORS})
def count_instances(request: HttpRequest) -> HttpResponse:
    """How many instances the caller has, in all and of each element."""
    rows = visible_instances(require_caller(request).user).prefetch_related(None)
    counts = (
        rows.order_by("element__key").values("element_id", "element__key").annotate(n=Count("id"))
    )
    per_element = [
        {"elementId": row["element_id"], "elementKey": row["element__key"], "instances": row["n"]}
        for row in counts
    ]
    total = sum(row["instances"] for row in per_element)
    return JsonResponse({"totalInstances": total, "elementInstances": per_element})


@router.get("/instances/{int:instance_id}", response=INSTANCE, by_alias=True)
def read_instance(request: HttpRequest, instance_id: int) -> HttpResponse:
    """One instance."""
    return _document(get_instance(require_caller(request).user, instance_id))


@router.get("/elements/{key_or_id}/instances/{int:instance_id}", response=INSTANCE, by_alias=True)
def read_instance_of_element(
    request: HttpRequest, key_or_id: str, instance_id: int
) -> HttpResponse:
    """One instance of one element."""
    caller = require_caller(request)
    return _document(get_instance(caller.user, instance_id, key_or_id=key_or_id))


@router.api_operation(
    ["PUT", "PATCH"], "/instances/{int:instance_id}", response=INSTANCE, by_alias=True
)
def update_instance(request: HttpRequest, instance_id: int, body: InstanceBody) -> HttpResponse:
    """Change an instance: what is absent stays; a new code or changed credentials authenticate it again."""
    caller = require_caller(request)
    return _update(request, caller, get_instance(caller.user, instance_id), body)


@router.api_operation(
    ["PUT", "PATCH"],
    "/elements/{key_or_id}/instances/{int:instance_id}",
    response=INSTANCE,
    by_alias=True,
)
def update_instance_of_element(
    request: HttpRequest, key_or_id: str, instance_id: int, body: InstanceBody
) -> HttpResponse:
    """Change an instance of one element. `reAuthenticate=false`: store, without contacting the provider."""
    caller = require_caller(request)
    instance = get_instance(caller.user, instance_id, key_or_id=key_or_id)
    return _update(request, caller, instance, body)


@router.api_operation(["PUT", "PATCH"], "/instances", response=INSTANCE, by_alias=True)
def update_own_instance(request: HttpRequest, body: InstanceBody) -> HttpResponse:
    """Change the instance of the Element token; an id in the body is ignored."""
    return _update(request, require_caller(request), own_instance(request), body)


@router.delete("/instances/{int:instance_id}", response=EMPTY)
def delete_instance(request: HttpRequest, instance_id: int) -> HttpResponse:
    """Delete an instance; its Element token is dead at once."""
    caller = require_caller(request)
    return _delete(caller, get_instance(caller.user, instance_id))


@router.delete("/elements/{key_or_id}/instances/{int:instance_id}", response=EMPTY)
def delete_instance_of_element(
    request: HttpRequest, key_or_id: str, instance_id: int
) -> HttpResponse:
    """Delete an instance of one element."""
    caller = require_caller(request)
    return _delete(caller, get_instance(caller.user, instance_id, key_or_id=key_or_id))


@router.delete("/instances", response=EMPTY)
def delete_own_instance(request: HttpRequest) -> HttpResponse:
    """Delete the instance of the Element token."""
    return _delete(require_caller(request), own_instance(request))


def own_instance(request: HttpRequest) -> Instance:
    """The Element token's instance, with what a document needs."""
    instance = require_instance(request)
    return visible_instances(instance.organization_user).get(pk=instance.pk)


def _create(
    request: HttpRequest, body: InstanceBody, *, element: Element | None = None
) -> HttpResponse:
    caller = require_caller(request)
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_IDEMPOTENCY_KEY_CHARACTERS:
        raise BadRequest(f"Idempotency-Key has at most {MAX_IDEMPOTENCY_KEY_CHARACTERS} characters")
    actor = actor_of(caller)
    if key:
        instance = idempotency.create_instance_once(
            caller.user,
            body,
            key=key,
            body_text=f"{request.path_info}\n{request.body.decode()}",
            actor=actor,
            element=element,
        )
    else:
        instance = bodies.create_instance(caller.user, body, actor=actor, element=element)
    return _document(instance)


def _list(request: HttpRequest, rows: InstanceQuerySet) -> HttpResponse:
    for tag in {*request.GET.getlist("tags[]"), *request.GET.getlist("tags")} - {""}:
        rows = rows.filter(tags__name=tag)
    if text := request.GET.get("searchText", ""):
        rows = rows.filter(Q(name__icontains=text) | Q(element__key__icontains=text))
    is_hydrated = request.GET.get("hydrate", "").lower() != "false"
    return page_response(
        request,
        rows,
        lambda instance: documents.instance_document(instance, is_hydrated=is_hydrated),
        things="instances",
    )


def _update(
    request: HttpRequest, caller: Caller, instance: Instance, body: InstanceBody
) -> HttpResponse:
    if body.element and body.element.id not in {None, instance.element_id}:
        raise BadRequest("An instance cannot be moved to another element; create a new one")
    bodies.update_instance(
        instance,
        body,
        actor=actor_of(caller),
        is_reauthenticating=request.GET.get("reAuthenticate", "").lower() != "false",
    )
    return _document(visible_instances(caller.user).get(pk=instance.pk))


def _delete(caller: Caller, instance: Instance) -> HttpResponse:
    verbs.delete_instance(instance, actor=actor_of(caller))
    return HttpResponse()


def _document(instance: Instance) -> HttpResponse:
    return JsonResponse(documents.instance_document(instance))
