"""Requests of one hub call: JSON to the provider and back, and errors as hub calls report them (contract for hubs, 7)."""

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from instances.catalogue.hub_api import HubApi
from instances.errors import (
    AccessForbiddenError,
    HubCallRefusedError,
    PlatformError,
    ProviderFaultError,
    RateLimitedError,
    UnusableAnswerError,
)
from instances.hubs.calls import ConnectedInstance
from instances.models import Instance
from instances.platforms.transport import StreamBody, StreamedAnswer, retry_after_of
from instances.redaction import redact_text, storable

# 5,000 records of 3 KB. As objects they need several times as much memory, and many calls may be in progress.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
_MAX_MESSAGE_CHARACTERS = 2000
# One of the two escapes of a character beyond 16 bits (RFC 8259 7).
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_CONFLICTS = {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response. document: its JSON; None without a body."""

    headers: Mapping[str, str]
    document: Any


class HubSession:
    """Call the API of one instance as its element's file describes it."""

    def __init__(self, instance: Instance, api: HubApi, connected: ConnectedInstance) -> None:
        self.instance = instance
        self.api = api
        self._connected = connected

    @property
    def provider(self) -> str:
        return self.instance.element.name

    @property
    def base_url(self) -> str:
        return self._connected.base_url

    @property
    def secrets(self) -> frozenset[str]:
        """Values that no message may show."""
        return self._connected.secrets

    def get(self, target: str, *, headers: Mapping[str, str] | None = None) -> Any:
        """Return the JSON at a target (path and query below the base URL). Raises like send()."""
        return self.send("GET", target, headers=headers).document

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        document: Any = None,
    ) -> Answer:
        """Send a request.

        Raises HubCallRefusedError (other 4xx, with the status of our response), AccessForbiddenError (401, 403),
        RateLimitedError, ProviderFaultError, UnusableAnswerError, and PlatformError without a response.
        """
        body, given = None, headers or {}
        if document is not None:
            content = json.dumps(document).encode()
            body = StreamBody(io.BytesIO(content), len(content))
            given = {**given, "Content-Type": "application/json"}
        return self.send_body(method, target, body, headers=given)

    def send_body(
        self, method: str, target: str, body: StreamBody | None, *, headers: Mapping[str, str]
    ) -> Answer:
        """Send a request with a body as it is, for a response in JSON. Raises like send()."""
        own = {**self.api.headers, "Accept": "application/json", **headers}
        with self._connected.send(method, target, headers=own, body=body) as answer:
            read = document_of(answer.read(max_bytes=MAX_ANSWER_BYTES))
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise self._error(answer, read)
            if (
                not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
                or read is UNREADABLE
            ):
                raise UnusableAnswerError(
                    f"{self.provider} sent a response that could not be understood (HTTP {answer.status}).",
                    status=answer.status,
                )
            return Answer(answer.headers, read)

    def open(self, target: str) -> StreamedAnswer:
        """Return the response with what is stored at a target, of any type. Close it. Raises like send()."""
        answer = self._connected.send("GET", target, headers={**self.api.headers, "Accept": "*/*"})
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        with answer:
            read = document_of(answer.read(max_bytes=MAX_ANSWER_BYTES))
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise self._error(answer, read)
            raise UnusableAnswerError(
                f"{self.provider} sent no file (HTTP {answer.status}).", status=answer.status
            )

    def target_of_link(self, link: str) -> str:
        """Return the target of a URL from a response: the link to the next page.

        Raises UnusableAnswerError unless it lies below the base URL, since requests carry the credentials.
        """
        base = self.base_url
        if link.startswith("/"):
            parts = urlsplit(base)
            link = f"{parts.scheme}://{parts.netloc}{link}"
        target = link.removeprefix(f"{base}/")
        if target == link or not is_below(target):
            raise UnusableAnswerError(
                f"{self.provider} sent a link to the next page that leads to another address, so it was not followed."
            )
        return target

    def _error(self, answer: StreamedAnswer, document: Any) -> PlatformError | HubCallRefusedError:
        said = value_at(document, self.api.error_at)
        said = redact_text(said, self.secrets) if isinstance(said, str) else ""
        said = storable(said)[:_MAX_MESSAGE_CHARACTERS]
        status, provider = answer.status, self.provider
        match status:
            case 401:
                message = f"{provider} rejected the access token (HTTP 401). The instance will be checked."
                return AccessForbiddenError(message, provider_message=said, status=status)
            case 403:
                message = "Access to the resource by the provider is forbidden"
                return AccessForbiddenError(message, provider_message=said, status=status)
            case 404:
                message = f"{provider} has no such record or resource"
                return HubCallRefusedError(message, http_status=404, provider_message=said)
            case 429:
                return RateLimitedError(
                    f"{provider} rate-limited the request. Retry later.",
                    provider_message=said,
                    status=status,
                    retry_after_seconds=retry_after_of(answer.headers),
                )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            message = (
                "Provider server error - Something went wrong on the Provider or Endpoint's server"
            )
            return ProviderFaultError(message, provider_message=said, status=status)
        message = f"{provider} rejected the request (HTTP {status})"
        http_status = 409 if status in _CONFLICTS else 400
        return HubCallRefusedError(message, http_status=http_status, provider_message=said)


UNREADABLE = object()


def document_of(body: bytes) -> Any:
    """Return the JSON of a body; None without one, UNREADABLE for anything else.

    Half of a character, as providers send that cut texts anywhere, becomes a question mark: it cannot be encoded in a
    page or a URL.
    """
    if not body.strip():
        return None
    try:
        text = body.decode(json.detect_encoding(body))
        document = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        if _SURROGATE.search(text):
            encodable = json.dumps(document, ensure_ascii=False).encode(errors="replace")
            document = json.loads(encodable)
    except (ValueError, RecursionError):
        return UNREADABLE
    return document


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python reads and writes, but JSON does not have (RFC 8259 6)."""
    raise ValueError(name)


def _finite(number: str) -> float:
    """Read a number. Refuse 1e999, which Python reads as Infinity: it could not be passed on as a number."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(number)
    return value


def is_below(target: str) -> bool:
    """Whether a path and query can be appended to the base URL without leaving it."""
    path = target.partition("?")[0]
    is_plain = target.isascii() and target.isprintable() and " " not in target
    lowered = path.lower()
    segments = lowered.removesuffix("/").replace("%2e", ".").split("/")
    return (
        is_plain
        and not {".", "..", ""} & set(segments)
        and not any(mark in lowered for mark in ("\\", "%2f", "%5c", "#"))
    )


def value_at(document: Any, path: str) -> Any:
    """Return what stands at a dotted path, in which a number counts in a list; None if there is nothing.

    A key that itself contains dots, such as "@odata.count", is found too.
    """
    if isinstance(document, dict) and path in document:
        return document[path]
    for part in path.split("."):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdecimal() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document
