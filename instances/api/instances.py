"""`/instances` and `/elements/{keyOrId}/instances` (contract 7 and 8.2)."""

from typing import Annotated

from django.core.exceptions import BadRequest
from django.db.models import BigIntegerField, Count, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router
from ninja.params.functions import Header

from instances.api import documents, examples
from instances.api.authentication import Caller, require_caller, require_instance
from instances.api.errors import no_instance
from instances.api.paging import page_response
from instances.api.parameters import InstanceChange, InstanceSearch, KeyOrId
from instances.api.responses import BODY, PLATFORM, answers
from instances.api.schemas import FullInstanceDocument, InstanceCountDocument
from instances.api.security import OWN_INSTANCE_CALL, PLATFORM_CALL
from instances.catalogue.configuration_keys import MASK
from instances.models import Element, Instance, OrganizationUser
from instances.models.instances import InstanceQuerySet
from instances.provisioning import create, idempotency, update
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.access.tokens import reveal_token
from instances.provisioning.elements import find_element
from instances.provisioning.lifecycle import delete
from instances.queries.prepared import Param, PreparedQuery
from instances.wire import InstanceBody

router = Router(tags=["Instances"], by_alias=True, auth=PLATFORM_CALL)
LIST = answers(list[FullInstanceDocument], 404)
READ = answers(FullInstanceDocument, 404)
WRITE = answers(FullInstanceDocument, 404, *BODY, *PLATFORM)
DELETE = answers(None, 404, *PLATFORM)
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="Any unique text. Repeating the request with the same key within 24 hours returns the same "
        "instance",
    ),
]


# The instances that the API shows: those that have an Element token.
VISIBLE = Q(token_digest__isnull=False) & ~Q(state=Instance.State.DELETING)


def visible_instances(user: OrganizationUser) -> InstanceQuerySet:
    """Select the user's instances that the API shows, as their documents need."""
    # Through the user, so that neither it nor its organization is read again.
    return _with_documents(user.instances.filter(VISIBLE))


def _with_documents(rows: InstanceQuerySet) -> InstanceQuerySet:
    # Elements keep their parsed definition in memory.
    return rows.select_related("element").defer("element__definition").with_tag_names()


def _visible_by(**id_of: Param) -> PreparedQuery[Instance]:
    rows = Instance.objects.filter(VISIBLE, organization_user=Param("user"), **id_of)
    return PreparedQuery(_with_documents(rows).order_by())


_BY_ID = _visible_by(pk=Param("id"))
_BY_REMOTE_ID = _visible_by(remote_id=Param("id"))


def get_instance(
    user: OrganizationUser, instance_id: int, *, key_or_id: str | None = None
) -> Instance:
    """Get a visible instance by the id that clients know.

    Raises NotFoundError, UnknownElementError.
    """
    element_id = find_element(key_or_id).pk if key_or_id is not None else None
    statement = _BY_REMOTE_ID if user.organization.is_remote else _BY_ID
    is_id = instance_id <= BigIntegerField.MAX_BIGINT
    instance = statement.first(user=user.pk, id=instance_id) if is_id else None
    if instance is None or element_id not in {None, instance.element_id}:
        raise no_instance(instance_id)
    instance.organization_user = user
    return instance


def actor_of(caller: Caller) -> str:
    """Name the caller for the records of what the call does."""
    return f"API: {caller.user.get_username() if caller.user else caller.organization_user.email}"


def shown_token(caller: Caller, instance: Instance, *, is_listed: bool = False) -> str:
    """Return the Element token as the caller may see it, or else the mask.

    A program sees it, since it has the secrets anyway. A person sees it with the permission reveal_token, for one
    instance at a time, and this is recorded.
    """
    if not instance.is_readable:
        return MASK
    if caller.user is None:
        token: str = instance.token.reveal()
        return token
    if is_listed or not is_permitted(caller.user, instance, InstancePermission.REVEAL):
        return MASK
    return reveal_token(instance, user=caller.user)


@router.post("/instances", response=WRITE, openapi_extra=examples.CREATE)
def create_instance(
    request: HttpRequest, body: InstanceBody, idempotency_key: IdempotencyKey = ""
) -> HttpResponse:
    """Provision an instance."""
    return _create(request, body, idempotency_key)


@router.post("/elements/{key_or_id}/instances", response=WRITE, openapi_extra=examples.CREATE)
def create_instance_of_element(
    request: HttpRequest,
    key_or_id: KeyOrId,
    body: InstanceBody,
    idempotency_key: IdempotencyKey = "",
) -> HttpResponse:
    """Provision an instance of the element in the path.

    An element in the body is ignored.
    """
    return _create(request, body, idempotency_key, element=find_element(key_or_id))


@router.get("/instances", response=LIST)
def list_instances(request: HttpRequest, search: Query[InstanceSearch]) -> HttpResponse:
    """List the caller's instances in order of id."""
    caller = require_caller(request)
    return _list(caller, visible_instances(caller.organization_user), search)


@router.get("/elements/{key_or_id}/instances", response=LIST)
def list_instances_of_element(
    request: HttpRequest, key_or_id: KeyOrId, search: Query[InstanceSearch]
) -> HttpResponse:
    """List the caller's instances of an element in order of id."""
    caller = require_caller(request)
    rows = visible_instances(caller.organization_user).filter(element=find_element(key_or_id))
    return _list(caller, rows, search)


@router.get("/instances/count", response=answers(InstanceCountDocument))
def count_instances(request: HttpRequest) -> HttpResponse:
    """Count the caller's instances, in total and by element."""
    rows = require_caller(request).organization_user.instances.filter(VISIBLE)
    counts = (
        rows.order_by("element__key").values("element_id", "element__key").annotate(n=Count("id"))
    )
    per_element = [
        {"elementId": row["element_id"], "elementKey": row["element__key"], "instances": row["n"]}
        for row in counts
    ]
    total = sum(row["instances"] for row in per_element)
    return JsonResponse({"totalInstances": total, "elementInstances": per_element})


@router.get("/instances/{int:instance_id}", response=READ)
def read_instance(request: HttpRequest, instance_id: int) -> HttpResponse:
    """Get an instance."""
    caller = require_caller(request)
    return _document(caller, get_instance(caller.organization_user, instance_id))


@router.get("/elements/{key_or_id}/instances/{int:instance_id}", response=READ)
def read_instance_of_element(
    request: HttpRequest, key_or_id: KeyOrId, instance_id: int
) -> HttpResponse:
    """Get an instance of an element."""
    caller = require_caller(request)
    return _document(
        caller, get_instance(caller.organization_user, instance_id, key_or_id=key_or_id)
    )


@router.put(
    "/instances/{int:instance_id}",
    response=WRITE,
    operation_id="put_instance",
    openapi_extra=examples.UPDATE,
)
@router.patch("/instances/{int:instance_id}", response=WRITE, openapi_extra=examples.UPDATE)
def update_instance(
    request: HttpRequest, instance_id: int, body: InstanceBody, change: Query[InstanceChange]
) -> HttpResponse:
    """Update an instance.

    Absent fields stay unchanged. A new code or changed credentials re-authenticate it.
    """
    caller = require_caller(request)
    return _update(caller, get_instance(caller.organization_user, instance_id), body, change)


@router.put(
    "/elements/{key_or_id}/instances/{int:instance_id}",
    response=WRITE,
    operation_id="put_instance_of_element",
    openapi_extra=examples.UPDATE,
)
@router.patch(
    "/elements/{key_or_id}/instances/{int:instance_id}",
    response=WRITE,
    openapi_extra=examples.UPDATE,
)
def update_instance_of_element(
    request: HttpRequest,
    key_or_id: KeyOrId,
    instance_id: int,
    body: InstanceBody,
    change: Query[InstanceChange],
) -> HttpResponse:
    """Update an instance of an element."""
    caller = require_caller(request)
    instance = get_instance(caller.organization_user, instance_id, key_or_id=key_or_id)
    return _update(caller, instance, body, change)


@router.put(
    "/instances",
    response=WRITE,
    auth=OWN_INSTANCE_CALL,
    operation_id="put_own_instance",
    openapi_extra=examples.UPDATE,
)
@router.patch("/instances", response=WRITE, auth=OWN_INSTANCE_CALL, openapi_extra=examples.UPDATE)
def update_own_instance(
    request: HttpRequest, body: InstanceBody, change: Query[InstanceChange]
) -> HttpResponse:
    """Update the instance of the Element token. An id in the body is ignored."""
    return _update(require_caller(request), own_instance(request), body, change)


@router.delete("/instances/{int:instance_id}", response=DELETE)
def delete_instance(request: HttpRequest, instance_id: int) -> HttpResponse:
    """Delete an instance. Its Element token stops working immediately."""
    caller = require_caller(request)
    return _delete(caller, get_instance(caller.organization_user, instance_id))


@router.delete("/elements/{key_or_id}/instances/{int:instance_id}", response=DELETE)
def delete_instance_of_element(
    request: HttpRequest, key_or_id: KeyOrId, instance_id: int
) -> HttpResponse:
    """Delete an instance of an element. Its Element token stops working immediately."""
    caller = require_caller(request)
    return _delete(caller, get_instance(caller.organization_user, instance_id, key_or_id=key_or_id))


@router.delete("/instances", response=DELETE, auth=OWN_INSTANCE_CALL)
def delete_own_instance(request: HttpRequest) -> HttpResponse:
    """Delete the instance of the Element token, which stops working immediately."""
    return _delete(require_caller(request), own_instance(request))


def own_instance(request: HttpRequest) -> Instance:
    """Get the Element token's instance, with everything its document needs.

    Raises NotFoundError.
    """
    instance = require_instance(request)
    return _as_stored(instance.organization_user, instance)


def _create(
    request: HttpRequest, body: InstanceBody, key: str, *, element: Element | None = None
) -> HttpResponse:
    caller = require_caller(request)
    actor = actor_of(caller)
    if key:
        instance = idempotency.create_instance_once(
            caller.organization_user,
            body,
            key=key,
            body_text=f"{request.path_info}\n{request.body.decode()}",
            actor=actor,
            element=element,
        )
    else:
        instance = create.create_instance(
            caller.organization_user, body, actor=actor, element=element
        )
    return _document(caller, instance)


def _list(caller: Caller, rows: InstanceQuerySet, search: InstanceSearch) -> HttpResponse:
    for tag in search.all_tags:
        rows = rows.filter(tags__name=tag)
    if text := search.search_text:
        rows = rows.filter(Q(name__icontains=text) | Q(element__key__icontains=text))
    return page_response(
        rows,
        search,
        lambda instance: documents.instance_document(
            instance,
            token=shown_token(caller, instance, is_listed=True),
            is_hydrated=search.hydrate,
        ),
        things="instances",
    )


def _update(
    caller: Caller, instance: Instance, body: InstanceBody, change: InstanceChange
) -> HttpResponse:
    if body.element and body.element.id not in {None, instance.element_id}:
        raise BadRequest(
            "An instance cannot be moved to another element; create a new instance instead"
        )
    update.update_instance(
        instance, body, actor=actor_of(caller), is_reauthenticating=change.re_authenticate
    )
    return _document(caller, _as_stored(caller.organization_user, instance))


def _as_stored(user: OrganizationUser, instance: Instance) -> Instance:
    """Reload the instance with concurrent changes.

    Raises NotFoundError if it was deleted.
    """
    current = visible_instances(user).filter(pk=instance.pk).first()
    if current is None:
        raise no_instance(instance.remote_id if user.organization.is_remote else instance.pk)
    return current


def _delete(caller: Caller, instance: Instance) -> HttpResponse:
    delete.delete_instance(instance, actor=actor_of(caller))
    return HttpResponse()


def _document(caller: Caller, instance: Instance) -> HttpResponse:
    token = shown_token(caller, instance)
    return JsonResponse(documents.instance_document(instance, token=token))
