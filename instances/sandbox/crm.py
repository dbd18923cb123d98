"""The sandbox's API, as Microsoft Dynamics 365 (Dataverse Web API 9.2)."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from authlib.oauth2.base import OAuth2Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from instances.sandbox.authorization_server import issuer, protector
from instances.sandbox.behaviour import misbehaving

WHO_AM_I = {
    "BusinessUnitId": "4d2b8f3e-6c1a-4f0e-9b57-0a8e5d3c7101",
    "UserId": "4d2b8f3e-6c1a-4f0e-9b57-0a8e5d3c7102",
    "OrganizationId": "4d2b8f3e-6c1a-4f0e-9b57-0a8e5d3c7103",
}
_HARBOUR = "9e1f6a52-33b8-4c0d-8a6e-51c07d2b9a01"
_ORCHARD = "9e1f6a52-33b8-4c0d-8a6e-51c07d2b9a02"
_LANTERN = "9e1f6a52-33b8-4c0d-8a6e-51c07d2b9a03"

# fmt: off
ENTITY_SETS: dict[str, list[dict[str, Any]]] = {
    "accounts": [
        {"accountid": _HARBOUR, "name": "Harbour Logistics", "address1_city": "Rotterdam", "telephone1": "+31 10 555 0101", "revenue": 12400000.0, "numberofemployees": 86},
        {"accountid": _ORCHARD, "name": "Orchard Foods", "address1_city": "Lyon", "telephone1": "+33 4 5555 0102", "revenue": 3900000.0, "numberofemployees": 31},
        {"accountid": _LANTERN, "name": "Lantern Energy", "address1_city": "Aarhus", "telephone1": "+45 5555 0103", "revenue": 48100000.0, "numberofemployees": 240},
    ],
    "contacts": [
        {"contactid": "b7c40d1e-0f6b-4a53-92d8-6e3a1f5c8b01", "fullname": "Anneke de Wit", "jobtitle": "Head of Operations", "emailaddress1": "anneke@harbour.example", "_parentcustomerid_value": _HARBOUR},
        {"contactid": "b7c40d1e-0f6b-4a53-92d8-6e3a1f5c8b02", "fullname": "Marc Fontaine", "jobtitle": "Buyer", "emailaddress1": "marc@orchard.example", "_parentcustomerid_value": _ORCHARD},
        {"contactid": "b7c40d1e-0f6b-4a53-92d8-6e3a1f5c8b03", "fullname": "Sofie Holm", "jobtitle": "Chief Financial Officer", "emailaddress1": "sofie@lantern.example", "_parentcustomerid_value": _LANTERN},
    ],
    "leads": [
        {"leadid": "c25e9b70-7a41-4d9c-b3f6-2d8c4e6a1f01", "subject": "Asked for a price list", "fullname": "Ines Duarte", "companyname": "Duarte Ceramics", "emailaddress1": "ines@duarte.example", "leadqualitycode": 1},
        {"leadid": "c25e9b70-7a41-4d9c-b3f6-2d8c4e6a1f02", "subject": "Met at the spring fair", "fullname": "Tomasz Zielinski", "companyname": "Zielinski Tools", "emailaddress1": "tomasz@zielinski.example", "leadqualitycode": 2},
    ],
    "opportunities": [
        {"opportunityid": "d83a1c64-5e2f-4b7a-a1c9-7f0b9d3e6a01", "name": "Second warehouse", "estimatedvalue": 260000.0, "estimatedclosedate": "2027-03-31", "closeprobability": 60, "_parentaccountid_value": _HARBOUR},
        {"opportunityid": "d83a1c64-5e2f-4b7a-a1c9-7f0b9d3e6a02", "name": "Service contract", "estimatedvalue": 74000.0, "estimatedclosedate": "2027-01-15", "closeprobability": 85, "_parentaccountid_value": _LANTERN},
    ],
}
# fmt: on


def bearer_required[**P](
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Require a valid access token, or answer 401 (RFC 6750)."""

    @wraps(view)
    def guard(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            protector.acquire_token(request)
        except OAuth2Error as error:
            response = _refusal(error.error, error.get_error_description(), error.status_code)
            response["WWW-Authenticate"] = dict(error.get_headers())["WWW-Authenticate"]
            return response
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
def entity_set(request: HttpRequest, name: str) -> HttpResponse:
    """Answer all rows of accounts, contacts, leads or opportunities."""
    if name not in ENTITY_SETS:
        message = f"Resource not found for the segment '{name}'."
        return _refusal("0x80060888", message, 404)
    return _odata(name, {"value": ENTITY_SETS[name]})


def _odata(context: str, body: dict[str, Any]) -> HttpResponse:
    metadata = f"{issuer()}/api/data/v9.2/$metadata#{context}"
    return JsonResponse({"@odata.context": metadata} | body, headers={"OData-Version": "4.0"})


def _refusal(code: str, message: str, status: int) -> HttpResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)
