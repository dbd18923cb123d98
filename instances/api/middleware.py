"""What holds for every answer under /elements/api-v2, whatever answered: contract 1, 3 and 4.

Paths are made tolerant before routing (repeated and trailing slashes); Accept, Content-Type, size and JSON are
checked before a view sees the body; whatever is not JSON by then (Django's 404, a 405, a fault) becomes
the contract's error document. Every answer carries Elements-Request-Id, and none of them may be stored.
"""

import json
import re
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

API_PREFIX = "/elements/api-v2"
MAX_BODY_BYTES = 1_048_576
# Compared as a string by clients (contract 4).
EXPOSED_HEADERS = (
    "Elements-Returned-Count, Elements-Total-Count, Elements-Request-Id, Elements-Next-Page-Token, "
    "Elements-Trace-Id, Elements-Error, Content-Disposition"
)
_BODY_METHODS = {"POST", "PUT", "PATCH"}
_DOCUMENTATION = {f"{API_PREFIX}/docs", f"{API_PREFIX}/openapi.json"}
_MESSAGES = {
    404: "No resource found at this path; the API's paths are listed at /elements/api-v2/docs",
    405: "This path does not take the method {method}; it takes: {allow}",
    500: "The server failed at this request; give the requestId to its operator",
}

log = structlog.stdlib.get_logger(__name__)


def new_request_id() -> str:
    """24 lower-case hex digits: seconds since the epoch, then 16 random digits (contract 3)."""
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


def error_response(
    request: HttpRequest, status: int, message: str, *, provider_message: str = ""
) -> JsonResponse:
    """The contract's error document (3)."""
    document = {"requestId": getattr(request, "request_id", ""), "message": message}
    if provider_message:
        document["providerMessage"] = provider_message
    return JsonResponse(document, status=status)


class PlatformApiMiddleware:
    """First in MIDDLEWARE, so that no other answers in a form of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = re.sub("/{2,}", "/", request.path_info)
        if path != API_PREFIX and not path.startswith(f"{API_PREFIX}/"):
            return self.get_response(request)
        request.path_info = path.rstrip("/") if path.rstrip("/") != API_PREFIX else f"{API_PREFIX}/"
        request.path = request.path_info
        request.request_id = new_request_id()  # type: ignore[attr-defined]
        response = self._preflight(request) or self._refusal(request) or self._answer(request)
        response["Elements-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        if request.path_info not in _DOCUMENTATION:
            # Most answers hold a token, a secret or a customer's data (RFC 6749 5.1, RFC 9111 5.2.2.5).
            response["Cache-Control"] = "no-store"
        caller = getattr(request, "caller", None)
        if caller and caller.instance:
            response["Elements-Element-Instance-Id"] = str(
                caller.instance.remote_id or caller.instance.pk
            )
        if "Origin" in request.headers:
            response["Access-Control-Allow-Origin"] = "*"
            response["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        return response

    def _preflight(self, request: HttpRequest) -> HttpResponse | None:
        """OPTIONS is answered without credentials (contract 4)."""
        if request.method != "OPTIONS":
            return None
        response = HttpResponse()
        response["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
        response["Access-Control-Allow-Headers"] = (
            "Authorization, Content-Type, Accept, Idempotency-Key"
        )
        response["Access-Control-Max-Age"] = "86400"
        return response

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        if settings.IS_HTTPS and not request.is_secure():
            return error_response(request, 403, "Use https: this call sent its secrets in clear")
        if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            return error_response(request, 400, "The address holds a NUL character")
        if request.path_info not in _DOCUMENTATION and not _accepts_json(request):
            return error_response(request, 406, "Only application/json can be answered")
        if request.method not in _BODY_METHODS:
            return None
        try:
            if int(request.headers.get("Content-Length") or 0) > MAX_BODY_BYTES:
                raise RequestDataTooBig
            body = request.body
        except (RequestDataTooBig, ValueError):
            return error_response(
                request, 413, f"The body is larger than {MAX_BODY_BYTES} bytes; send less"
            )
        if not body.strip():
            return None
        if request.content_type not in {"application/json", ""}:
            return error_response(
                request, 415, "The body must be JSON, with Content-Type application/json"
            )
        try:
            # What PostgreSQL and UTF-8 cannot hold is refused here, once, and not deep in a verb.
            text = json.dumps(json.loads(body), ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return error_response(request, 400, "The body is not valid JSON in UTF-8")
        if rb"\u0000" in text:
            return error_response(request, 400, "The body holds a NUL character")
        return None

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_json = response.get("Content-Type", "").startswith("application/json")
        if response.status_code < 400 or is_json:
            return response
        message = _MESSAGES.get(response.status_code) or HTTPStatus(response.status_code).phrase
        allow = response.get("Allow", "")
        refused = error_response(
            request, response.status_code, message.format(method=request.method, allow=allow)
        )
        if allow:
            refused["Allow"] = allow
        return refused


def _accepts_json(request: HttpRequest) -> bool:
    accept = request.headers.get("Accept", "")
    return accept in {"", "*/*", "application/json"} or request.accepts("application/json")
