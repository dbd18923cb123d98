"""Translate exceptions to the contract's errors (3.1, 3.2).

The registry of causes has the status of each.
"""

from typing import Any

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from instances import errors
from instances.api.authentication import REFUSAL, UnauthenticatedError
from instances.api.middleware import API_PREFIX, NO_RESOURCE, error_response
from instances.api.rate_limit import RateLimitExceededError
from instances.api.unserved import not_found_message


class NotFoundError(Exception):
    """Something that a path names, or every item of a list, is missing.

    The message is the contract's (3.1).
    """


def install_error_handlers(api: NinjaAPI) -> None:
    """Register a handler for every exception that an operation can raise."""
    handlers: list[tuple[type[Exception], Any]] = [
        (UnauthenticatedError, lambda request, _: error_response(request, 401, REFUSAL)),
        (AuthenticationError, lambda request, _: error_response(request, 401, REFUSAL)),
        (RateLimitExceededError, _answer_rate_limit),
        (NotFoundError, lambda request, error: error_response(request, 404, str(error))),
        (errors.InstancesError, _answer_error),
        (ValidationError, _answer_invalid),
        (BadRequest, lambda request, error: error_response(request, 400, str(error))),
        (HttpError, _answer_http_error),
        (Http404, _answer_no_resource),
    ]
    for kind, handler in handlers:
        api.add_exception_handler(kind, handler)


def _answer_no_resource(request: HttpRequest, _: Http404) -> JsonResponse:
    path = request.path_info.removeprefix(API_PREFIX)
    message = not_found_message(request.method, path, NO_RESOURCE)
    return error_response(request, 404, message)


def _answer_error(request: HttpRequest, error: errors.InstancesError) -> JsonResponse:
    message = error.platform_message or str(error)
    response = error_response(
        request,
        getattr(error, "http_status", error.info.status),
        message,
        provider_message=getattr(error, "provider_message", ""),
    )
    if allowed_methods := getattr(error, "allowed_methods", ()):
        response["Allow"] = ", ".join(allowed_methods)
    retry_after = getattr(error, "retry_after_seconds", None)
    if retry_after:
        response["Retry-After"] = str(max(1, int(retry_after)))
    return response


def _answer_rate_limit(request: HttpRequest, error: RateLimitExceededError) -> JsonResponse:
    response = error_response(request, 429, str(error))
    response["Retry-After"] = str(error.retry_after_seconds)
    return response


def _answer_invalid(request: HttpRequest, error: ValidationError) -> JsonResponse:
    wrong = "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'][1:] if part != 'body')}: {problem['msg']}"
        for problem in error.errors
    )
    return error_response(request, 400, f"The request has invalid values: {wrong}")


def _answer_http_error(request: HttpRequest, error: HttpError) -> JsonResponse:
    # Ninja's own errors, for example for a body that cannot be parsed.
    return error_response(
        request, 400 if error.status_code == 422 else error.status_code, str(error)
    )
