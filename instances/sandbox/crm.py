"""The sandbox's API, as Microsoft Dynamics 365 (Dataverse Web API 9.2)."""

import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate
from urllib.parse import urlencode

from authlib.oauth2.base import OAuth2Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from instances.sandbox import crm_store
from instances.sandbox.authorization_server import issuer, protector
from instances.sandbox.behaviour import misbehaving
from instances.sandbox.crm_rows import Row
from instances.sandbox.crm_store import CrmError
from instances.sandbox.entities import ETAG, Entity, entity_sets
from instances.sandbox.entity_definitions import answer_definitions
from instances.sandbox.odata import ODataError, compiled_filter, ordered
from instances.sandbox.refusals import lacks_role

WHO_AM_I = {
    "BusinessUnitId": "4d2b8f3e-6c1a-4f0e-9b57-0a8e5d3c7101",
    "UserId": "4d2b8f3e-6c1a-4f0e-9b57-0a8e5d3c7102",
    "OrganizationId": "4d2b8f3e-6c1a-4f0e-9b57-0a8e5d3c7103",
}
ENVIRONMENTS = [
    ("Contoso", "https://yourcompanyname.crm.dynamics.com"),
    ("Contoso (test)", "https://contoso-test.crm4.dynamics.com"),
]
MAX_PAGE_SIZE = 5000
# A larger total is not counted.
MAX_TOTAL = 5000
_LIST_OPTIONS = {"$select", "$filter", "$orderby", "$count", "$top", "$skiptoken"}
_RECORD = re.compile(r"([a-z]+)\(([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\)")
_PAGE_SIZE = re.compile(r"odata\.maxpagesize=([0-9]{1,4})")


def bearer_required[**P](
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Require a valid access token, or answer 401 (RFC 6750)."""

    @wraps(view)
    def guard(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            token = protector.acquire_token(request)
        except OAuth2Error as error:
            response = _refusal(error.error, error.get_error_description(), error.status_code)
            response["WWW-Authenticate"] = dict(error.get_headers())["WWW-Authenticate"]
            return response
        if lacks_role(token.grant.scope or token.grant.resource):
            return _refusal("0x80072560", "The user is not a member of the organization.", 403)
        return view(request, *args, **kwargs)

    return guard


@require_safe
@misbehaving
@bearer_required
def who_am_i(request: HttpRequest) -> HttpResponse:
    """Answer the function WhoAmI: the ids of the signed-in user."""
    return _odata("Microsoft.Dynamics.CRM.WhoAmIResponse", WHO_AM_I)


@require_safe
@misbehaving
@bearer_required
def environments(request: HttpRequest) -> HttpResponse:
    """Answer the global discovery service: the environments that the signed-in user may use."""
    return JsonResponse({"value": [{"FriendlyName": n, "Url": url} for n, url in ENVIRONMENTS]})


@csrf_exempt
@require_http_methods(["GET", "POST", "PATCH", "DELETE"])
@misbehaving
@bearer_required
def records(request: HttpRequest, path: str) -> HttpResponse:
    """Answer an entity set, one record or EntityDefinitions."""
    try:
        return _answer(request, path)
    except CrmError as error:
        return _refusal(error.code, str(error), error.status)
    except ODataError as error:
        return _refusal("0x80060888", str(error), 400)


def _answer(request: HttpRequest, path: str) -> HttpResponse:
    if path.startswith("EntityDefinitions") and request.method == "GET":
        body = answer_definitions(path, select=request.GET.get("$select", ""))
        return _odata("EntityDefinitions", body)
    found = _RECORD.fullmatch(path)
    entity = entity_sets().get(found[1] if found else path)
    if entity is None:
        raise CrmError(404, f"Resource not found for the segment '{path}'.")
    if entity.is_read_only and request.method != "GET":
        raise CrmError(405, "The entity does not support this operation.", "0x80040800")
    if found:
        return _answer_record(request, entity, found[2].lower())
    if request.method == "POST":
        row = crm_store.create(entity, _body_of(request))
        return _written(request, entity, row, status=201)
    if request.method != "GET":
        raise CrmError(405, "Deep inserts and bulk changes are not supported.")
    return _answer_list(request, entity)


def _answer_record(request: HttpRequest, entity: Entity, record_id: str) -> HttpResponse:
    if_match = request.headers.get("If-Match", "")
    if request.method == "DELETE":
        crm_store.delete(entity, record_id, if_match=if_match)
        return HttpResponse(status=204)
    if request.method == "PATCH":
        row = crm_store.update(entity, record_id, _body_of(request), if_match=if_match)
        return _written(request, entity, row, status=200)
    found = crm_store.find(entity, record_id)
    if found is None:
        message = f"Entity '{entity.name}' With Id = {record_id} Does Not Exist"
        raise CrmError(404, message, "0x80040217")
    row = _selected(entity, found, request.GET.get("$select", ""))
    return _odata(f"{entity.set_name}/$entity", row)


def _answer_list(request: HttpRequest, entity: Entity) -> HttpResponse:
    options = request.GET.dict()
    if unknown := options.keys() - _LIST_OPTIONS:
        raise ODataError(f"The query option '{min(unknown)}' is not supported.")
    rows = crm_store.all_rows(entity)
    if "$filter" in options:
        rows = list(filter(compiled_filter(options["$filter"], entity.compared_as), rows))
    if "$orderby" in options:
        rows = list(rows)
        ordered(rows, options["$orderby"], entity.compared_as)
    found = _PAGE_SIZE.search(request.headers.get("Prefer", ""))
    if found and "$top" in options:
        raise ODataError("$top and odata.maxpagesize exclude each other.")
    size = _number(options.get("$top") or (found[1] if found else ""), MAX_PAGE_SIZE)
    begin = _number(options.get("$skiptoken", ""), 0)
    select = options.get("$select", "")
    page = [_selected(entity, row, select) for row in rows[begin : begin + size]]
    body: dict[str, Any] = {"value": page}
    if options.get("$count") == "true":
        body = {"@odata.count": min(len(rows), MAX_TOTAL)} | body
    if "$top" not in options and begin + size < len(rows):
        query = urlencode(options | {"$skiptoken": str(begin + size)})
        body["@odata.nextLink"] = f"{issuer()}/api/data/v9.2/{entity.set_name}?{query}"
    return _odata(entity.set_name, body)


def _number(text: str, default: int) -> int:
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,6}", text):
        raise ODataError(f"'{text}' is not a number.")
    return min(int(text), MAX_PAGE_SIZE) if default else int(text)


def _selected(entity: Entity, row: Row, select: str) -> Row:
    if not select:
        return row
    names = [name.strip() for name in select.split(",")]
    for name in names:
        if name not in entity.by_property:
            kind = f"Microsoft.Dynamics.CRM.{entity.name}"
            raise ODataError(f"Could not find a property named '{name}' on type '{kind}'.")
    return {name: row.get(name) for name in {ETAG: 0, entity.id_column: 0, **dict.fromkeys(names)}}


def _written(request: HttpRequest, entity: Entity, row: Row, *, status: int) -> HttpResponse:
    if "return=representation" in request.headers.get("Prefer", ""):
        response = _odata(f"{entity.set_name}/$entity", row)
        response.status_code = status
    else:
        response = HttpResponse(status=204)
    record = f"{entity.set_name}({row[entity.id_column]})"
    response["OData-EntityId"] = f"{issuer()}/api/data/v9.2/{record}"
    return response


def _body_of(request: HttpRequest) -> Any:
    try:
        return json.loads(request.body)
    except ValueError:
        raise CrmError(400, "The body is not valid JSON.", "0x80048d19") from None


def _odata(context: str, body: dict[str, Any]) -> HttpResponse:
    metadata = f"{issuer()}/api/data/v9.2/$metadata#{context}"
    return JsonResponse({"@odata.context": metadata} | body, headers={"OData-Version": "4.0"})


def _refusal(code: str, message: str, status: int) -> HttpResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)
