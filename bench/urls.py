"""The program's own paths, and bare Django views that insert and read one row."""

import json
import secrets

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from bench.models import BareRow

# As long as a sealed Element token or a sealed password.
SEALED = "x" * 120


@csrf_exempt
def create(request: HttpRequest) -> HttpResponse:
    body = json.loads(request.body)
    row = BareRow.objects.create(
        name=body["name"],
        authentication_type="basic",
        configuration=body["configuration"],
        secret_configuration=SEALED,
        token_digest=secrets.token_hex(32),
        token=SEALED,
        state="connected",
    )
    return _answer(row)


def read(request: HttpRequest, row_id: int) -> HttpResponse:
    return _answer(BareRow.objects.get(pk=row_id))


def _answer(row: BareRow) -> HttpResponse:
    document = {"id": row.pk, "name": row.name, "createdDate": row.created_at.isoformat()}
    return JsonResponse(document | {"configuration": row.configuration, "token": row.token})


urlpatterns = [
    path("bare", create),
    path("bare/<int:row_id>", read),
    path("", include("config.urls")),
]
