"""Calls that go to the provider of an instance as they are, or to its remote platform (contract for hubs, 12.2 and 1)."""

import re
import tempfile
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import BinaryIO, cast
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, StreamingHttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from ninja import Router

from instances.api.authentication import require_hub_instance
from instances.api.hub_paths import resource_path
from instances.api.middleware import PROVIDER_STATUS, error_response
from instances.api.responses import answers
from instances.api.security import HUB_CALL
from instances.errors import InvalidCallError
from instances.hubs.calls import MAX_RETRIES, ConnectedInstance, connect, require_enabled
from instances.hubs.proxy import (
    METHODS,
    PLATFORM_ANSWER_HEADERS,
    PLATFORM_REQUEST_HEADERS,
    checked_target,
    relayed_headers,
    sent_headers,
)
from instances.models import Instance
from instances.platforms.transport import StreamBody, StreamedAnswer
from instances.queries.connection_slots import release_connection

router = Router(tags=["Proxy"], by_alias=True, auth=HUB_CALL)

_BELOW_PROXY = re.compile(r"(?:https?://[^/?#]*)?/+elements/+api-v2/+proxy(?:/(?P<tail>[^?#]*))?")
_BELOW_API = re.compile(r"(?:https?://[^/?#]*)?/+elements/+api-v2/+(?P<tail>[^?#]*)")
_BLOCK_BYTES = 65_536
_MEMORY_BYTES = 1_048_576
_RETRIES = "Elements-Retries"
# What a remote platform answers although an instance does not work, or is disabled (contract for hubs, 1 and 2).
_REQUIREMENTS: Mapping[str, Callable[[Instance], None]] = {
    "ping": require_enabled,
    "objects": lambda instance: None,
}


class _TooLargeError(Exception):
    """The body is larger than DATA_CALL_MAX_BODY_BYTES."""


def relay(request: HttpRequest, path: str) -> HttpResponseBase:
    """Call the provider's own API with the credentials of the instance.

    The path is below the base URL of the element's API. Method, query, headers and body go to the provider, and its
    status, headers and body come back, streamed. A response of the provider has the header `Elements-Provider-Status`;
    one without it is ours. `Elements-Retries` (0 to 5) repeats what may be repeated.

    Not part of the vendor's API.
    """
    instance, caller = require_hub_instance(request), request.caller  # type: ignore[attr-defined]
    if instance.organization.is_remote:
        return _relay_to_platform(request, instance, actor=caller.actor)
    target = _target_of(request, _BELOW_PROXY)
    retries = _retries_of(request)
    connected = connect(instance, actor=caller.actor, operation="Proxy call")
    return _relay(request, connected, target, sent_headers(request.headers), retries=retries)


def relay_base(request: HttpRequest) -> HttpResponseBase:
    """Call the base URL itself, or any path of a remote platform's hub API (middleware.py)."""
    return relay(request, "")


def _relay_to_platform(request: HttpRequest, instance: Instance, *, actor: str) -> HttpResponseBase:
    """Pass a hub call on to the remote platform of the instance, and answer as it answers."""
    target = _target_of(request, _BELOW_API)
    retries = _retries_of(request)
    resource = resource_path(target.partition("?")[0]).rstrip("/")
    connected = connect(
        instance,
        actor=actor,
        operation="Proxy call" if resource.partition("/")[0] == "proxy" else "Hub call",
        requirement=_REQUIREMENTS.get(resource),
        can_prove=not _is_answered_without_provider(resource),
    )
    headers = sent_headers(request.headers, kept=PLATFORM_REQUEST_HEADERS)
    return _relay(
        request, connected, target, headers, retries=retries, kept=PLATFORM_ANSWER_HEADERS
    )


def _is_answered_without_provider(resource: str) -> bool:
    """Whether a remote platform answers without a look at the provider: what also works while the instance does not."""
    return resource in _REQUIREMENTS or resource.partition("/")[0] == "docs"


def _relay(
    request: HttpRequest,
    connected: ConnectedInstance,
    target: str,
    headers: Mapping[str, str],
    *,
    retries: int,
    kept: Collection[str] = frozenset(),
) -> HttpResponseBase:
    """Send a call, and answer with the response as it comes. kept: of its headers that begin with Elements-."""
    body: StreamBody | None = None
    answer: StreamedAnswer | None = None
    try:
        body = _spooled(request)
        answer = connected.send(
            str(request.method),
            target,
            headers=headers,
            body=body,
            retries=retries,
        )
        return RelayedResponse(answer, partial(_close, connected, body), kept=kept)
    except BaseException as error:
        if answer:
            answer.close()
        _close(connected, body)
        if isinstance(error, _TooLargeError):
            return too_large(request)
        raise


class RelayedResponse(StreamingHttpResponse):
    """The provider's response, passed on as it comes. release: what is to be done when it is over."""

    def __init__(
        self,
        answer: StreamedAnswer,
        release: Callable[[], None],
        *,
        kept: Collection[str] = frozenset(),
    ) -> None:
        super().__init__(answer.blocks(), status=answer.status)
        self._answer, self._release = answer, release
        del self["Content-Type"]
        for name, value in relayed_headers(answer.headers, kept=kept):
            self[name] = value
        self[PROVIDER_STATUS] = str(answer.status)
        # The body is foreign, the origin is ours.
        self["X-Content-Type-Options"] = "nosniff"
        self["Content-Security-Policy"] = "sandbox"

    def close(self) -> None:
        self._answer.close()
        self._release()
        super().close()


def _close(connected: ConnectedInstance, body: StreamBody | None) -> None:
    connected.close()
    if body:
        body.file.close()


def _target_of(request: HttpRequest, below: re.Pattern[str]) -> str:
    """Return path and query as the client sent them, percent-encoded. below: has the group tail, which is the path.

    Raises InvalidCallError if the client encoded what is before the tail, or as checked_target().
    """
    sent = request.META.get("RAW_URI") or _encoded(request.META.get("PATH_INFO", ""))
    found = below.match(sent)
    if found is None or sent[found.end() : found.end() + 1] not in {"", "?"}:
        raise InvalidCallError("The path must begin with /elements/api-v2/, not encoded.")
    return checked_target(found["tail"] or "", request.META.get("QUERY_STRING", ""))


def _encoded(path: str) -> str:
    """Encode a path that the web server has decoded, and does not give as it was sent."""
    return quote(path, safe="/~!$&'()*+,;=:@", errors="replace")


def _retries_of(request: HttpRequest) -> int:
    """Read Elements-Retries. Raises BadRequest."""
    value = request.headers.get(_RETRIES, "").strip() or "0"
    if not re.fullmatch("[0-9]", value) or int(value) > MAX_RETRIES:
        raise BadRequest(f"{_RETRIES} must be a whole number from 0 to {MAX_RETRIES}")
    return int(value)


def _spooled(request: HttpRequest) -> StreamBody | None:
    """Return the request's body in a file, in memory while it is short; None if there is none.

    So a client that sends slowly does not hold the provider's connection, and the body can be sent again.

    Raises _TooLargeError, BadRequest for a body that ends early.
    """
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if not length:
        return None
    if length > settings.DATA_CALL_MAX_BODY_BYTES:
        raise _TooLargeError
    if length > _MEMORY_BYTES:
        # The web server reads shorter ones before it calls us; a client may take its time with the rest of this one.
        release_connection()
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(_MEMORY_BYTES))  # noqa: SIM115
    try:
        while block := request.read(_BLOCK_BYTES):
            file.write(block)
        if file.tell() != length:
            raise BadRequest("The body is shorter than its Content-Length")
    except BaseException as error:
        file.close()
        if isinstance(error, UnreadablePostError):
            raise BadRequest("The body could not be read") from None
        raise
    return StreamBody(file, length)


def too_large(request: HttpRequest) -> HttpResponseBase:
    most = settings.DATA_CALL_MAX_BODY_BYTES
    return error_response(request, 413, f"The body is larger than the limit of {most} bytes")


for _method in METHODS:
    router.api_operation(
        [_method],
        "/proxy/{path:path}",
        operation_id=f"proxy_{_method.lower()}",
        summary="Call the provider",
        response=answers(None, 413, 502, 503),
    )(relay)
    router.api_operation([_method], "/proxy", include_in_schema=False)(relay_base)
