"""The program's own paths, and bare Django views that insert and read one row, and that pass a call on."""

import json
import os
import secrets
import threading

import requests
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
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


_of_thread = threading.local()


def pass_on(request: HttpRequest, path: str) -> StreamingHttpResponse:
    """Relay a GET to the stub with nothing around it: no authentication, no records, no limits."""
    if not hasattr(_of_thread, "session"):
        _of_thread.session = requests.Session()
    answer = _of_thread.session.get(
        f"{os.environ['BENCH_PROVIDER']}/{path}?{request.META['QUERY_STRING']}",
        headers={"Authorization": "Bearer x"},
        stream=True,
        timeout=30,
    )
    blocks = answer.raw.stream(65_536, decode_content=False)
    response = StreamingHttpResponse(blocks, status=answer.status_code)
    for name in ("Content-Type", "Content-Length"):
        response[name] = answer.headers[name]
    return response


def _answer(row: BareRow) -> HttpResponse:
    document = {"id": row.pk, "name": row.name, "createdDate": row.created_at.isoformat()}
    return JsonResponse(document | {"configuration": row.configuration, "token": row.token})


urlpatterns = [
    path("bare", create),
    path("bare/<int:row_id>", read),
    path("bare-proxy/<path:path>", pass_on),
    path("", include("config.urls")),
]
