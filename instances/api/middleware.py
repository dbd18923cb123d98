"""Rules for every response under /elements/api-v2 (contract 1, 3 and 4).

Repeated and trailing slashes are removed from the path before routing. Accept, Content-Type, size and JSON are checked
before a view sees the body. A response that is not JSON (Django's 404, a 405, a 500) is replaced with the contract's
error document. Every response carries Elements-Request-Id, and none may be cached.
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
from django.db import Error as AnyDatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from instances.api.authentication import (
    UnauthenticatedError,
    parts_named,
    require_hub_instance,
)
from instances.api.documents.base import RefusalDocument
from instances.api.hub_paths import HUB_NAMES, is_file, is_hub_path, resource_path, takes_file
from instances.api.rate_limit import RateLimitExceededError
from instances.api.unserved import not_found_message

API_PREFIX = "/elements/api-v2"
# Where calls that bring a file are answered; no client calls it so.
UPLOADS = f"{API_PREFIX}/uploads"
MAX_BODY_BYTES = 1_048_576
# Of every response that comes from a provider or a remote platform: so the provider's 401 is told from ours.
PROVIDER_STATUS = "Elements-Provider-Status"
# Clients compare this as a string (contract 4).
EXPOSED_HEADERS = (
    "Elements-Returned-Count, Elements-Total-Count, Elements-Request-Id, Elements-Next-Page-Token, "
    "Elements-Trace-Id, Elements-Error, Content-Disposition"
)
_BODY_METHODS = {"POST", "PUT", "PATCH"}
_DOCUMENTATION = {f"{API_PREFIX}/docs", f"{API_PREFIX}/openapi.json"}
# A NUL as JSON writes it. After an escaped backslash, u0000 is plain text.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
NO_RESOURCE = "No resource found at this path; see /elements/api-v2/docs for all paths"
_MESSAGES = {
    404: NO_RESOURCE,
    405: "Method {method} is not allowed at this path; allowed: {allow}",
    500: "An unexpected error occurred; report the requestId to the operator of this server",
}

log = structlog.stdlib.get_logger(__name__)


def new_request_id() -> str:
    """Generate a request id (contract 3).

    24 lower-case hex digits: 8 for the seconds since the epoch, 16 random.
    """
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


def error_response(
    request: HttpRequest, status: int, message: str, *, provider_message: str = ""
) -> JsonResponse:
    """Build the contract's error document (3)."""
    document = RefusalDocument(
        request_id=request.request_id,  # type: ignore[attr-defined]
        message=message,
        provider_message=provider_message or None,
    )
    return JsonResponse(document.model_dump(by_alias=True), status=status)


class PlatformApiMiddleware:
    """Apply the rules above.

    It is first in MIDDLEWARE, so that it sees the responses of all others.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = re.sub("/{2,}", "/", request.path_info)
        if path != API_PREFIX and not path.startswith(f"{API_PREFIX}/"):
            return self.get_response(request)
        request.path_info = path.rstrip("/") if path.rstrip("/") != API_PREFIX else f"{API_PREFIX}/"
        if request.path_info.split("/")[3] in HUB_NAMES and "element" in parts_named(request):
            # The hub in a path is ignored (contract for hubs, 1).
            request.path_info = request.path_info.replace(API_PREFIX, f"{API_PREFIX}/hubs/crm", 1)
        request.path = request.path_info
        request.request_id = new_request_id()  # type: ignore[attr-defined]
        if _is_for_remote_platform(request):
            # The proxy passes it on, whatever its path and its body are.
            request.path_info = f"{API_PREFIX}/proxy"
        elif _is_upload(request):
            request.path_info = f"{UPLOADS}/{resource_path(_path_below(request))}"
        response = self._preflight(request) or self._refusal(request) or self._answer(request)
        response["Elements-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        if request.path_info not in _DOCUMENTATION:
            # Most responses contain a token, a secret or customer data (RFC 6749 5.1, RFC 9111 5.2.2.5).
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
        """Answer OPTIONS without requiring credentials (contract 4)."""
        is_relayed = _is_proxied(request) and "Authorization" in request.headers
        if request.method != "OPTIONS" or is_relayed:
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
            return error_response(request, 403, "Use https; this call sent its secrets unencrypted")
        if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            return error_response(request, 400, "The URL contains a NUL character")
        if _is_proxied(request) or request.path_info.startswith(f"{UPLOADS}/"):
            return None
        if request.method == "GET" and is_file(_path_below(request)):
            return None
        if request.path_info not in _DOCUMENTATION and not _accepts_json(request):
            return error_response(request, 406, "The only available media type is application/json")
        if request.method not in _BODY_METHODS:
            return None
        try:
            if int(request.headers.get("Content-Length") or 0) > MAX_BODY_BYTES:
                raise RequestDataTooBig
            body = request.body
        except (RequestDataTooBig, ValueError):
            return error_response(
                request, 413, f"The body is larger than the limit of {MAX_BODY_BYTES} bytes"
            )
        if not body.strip():
            return None
        if request.content_type not in {"application/json", ""}:
            return error_response(
                request, 415, "The body must be JSON, with Content-Type application/json"
            )
        try:
            # Reject text that UTF-8 and PostgreSQL cannot represent here, once, instead of wherever it is stored.
            # Likewise NaN and Infinity, which JSON does not have (RFC 8259 6).
            text = json.dumps(json.loads(body), ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            return error_response(request, 400, "The body is not valid UTF-8 encoded JSON")
        if _NUL.search(text):
            return error_response(request, 400, "The body contains a NUL character")
        return None

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_json = response.get("Content-Type", "").startswith("application/json")
        if response.status_code < 400 or is_json or PROVIDER_STATUS in response:
            return response
        message = _MESSAGES.get(response.status_code) or HTTPStatus(response.status_code).phrase
        if response.status_code == HTTPStatus.NOT_FOUND:
            path = request.path_info.removeprefix(API_PREFIX)
            message = not_found_message(request.method, path, NO_RESOURCE)
        allow = response.get("Allow", "")
        refused = error_response(
            request, response.status_code, message.format(method=request.method, allow=allow)
        )
        if allow:
            refused["Allow"] = allow
        return refused


def _is_for_remote_platform(request: HttpRequest) -> bool:
    """Whether this is a hub call of an instance on a remote platform, or may be one, if it has no valid token."""
    if not is_hub_path(_path_below(request)) or "element" not in parts_named(request):
        return False
    try:
        return bool(require_hub_instance(request).organization.is_remote)
    except (UnauthenticatedError, RateLimitExceededError):
        # The proxy meets the same, and answers it: before the rules for JSON, which may not hold for this call.
        return True
    except AnyDatabaseError:
        # The view meets the same, and answers it.
        return False


def _is_upload(request: HttpRequest) -> bool:
    """Whether the call brings a file: at the same path, other calls bring JSON."""
    is_form = request.method == "POST" and request.content_type == "multipart/form-data"
    return is_form and takes_file(_path_below(request)) and "element" in parts_named(request)


def _path_below(request: HttpRequest) -> str:
    return request.path_info.removeprefix(f"{API_PREFIX}/")


def _is_proxied(request: HttpRequest) -> bool:
    """Whether the call goes to a provider or a remote platform as it is."""
    path = request.path_info
    return path == f"{API_PREFIX}/proxy" or path.startswith(f"{API_PREFIX}/proxy/")


def _accepts_json(request: HttpRequest) -> bool:
    accept = request.headers.get("Accept", "")
    return accept in {"", "*/*", "application/json"} or request.accepts("application/json")
