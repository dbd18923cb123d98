"""Sessions that guard, limit, time and record every exchange.

session_for(subject) returns a session for plain calls; mount(session, subject) routes a library's own session
(Authlib's) through the same adapter. Each call returns a response or raises a PlatformError with its interaction.
"""

import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, cast
from urllib.parse import quote, urljoin, urlsplit

import requests
import structlog
import urllib3
from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, connection
from django.utils import timezone
from requests.adapters import BaseAdapter

from instances.deadlines import Deadline
from instances.errors import (
    AnswerLostError,
    AnswerTimeoutError,
    PlatformError,
    RefusedError,
    UnreachableError,
)
from instances.models import Interaction
from instances.platforms.base import PlatformRequest
from instances.platforms.transport.charsets import decoded
from instances.platforms.transport.connections import thread_connection
from instances.platforms.transport.tls import tls_reason
from instances.queries.outages import outlast_outage
from instances.redaction import redact_body, redact_headers, redact_text, redact_url, storable

MAX_BODY_BYTES = 1024 * 1024
CHUNK_BYTES = 16 * 1024
MAX_REDIRECTS = 3
USER_AGENT = "instance-manager"
# What is stored of a URL.
MAX_URL_CHARACTERS = 4000
# RFC 3986 2.2 and 2.3, and the % of what is encoded already: so a URL stays byte for byte as it was sent.
_URL_CHARACTERS = "%:/?#[]@!$&'()*+,;=-._~"
_MAY_BE_DONE = "The request may have been carried out anyway."
_REDIRECTED = (
    "%(label)s: %(provider)s answered with a redirect to %(target)s, which was not followed (%(operation)s, "
    "HTTP %(status)d). Correct the address."
)
_TIMED_OUT = f"%(host)s did not answer within %(seconds)g seconds (%(operation)s). {_MAY_BE_DONE}"
_CUT_OFF = (
    f"%(host)s closed the connection or sent an unreadable response (%(operation)s). {_MAY_BE_DONE}"
)
_TOO_LONG = (
    f"The response is longer than {MAX_BODY_BYTES} bytes, so it was not read. {_MAY_BE_DONE}"
)
_CONNECT_TIMED_OUT = (
    "%(host)s accepted the connection but did not continue in time, so nothing was sent (%(operation)s). "
    "Try again later."
)
_TLS_FAILED = (
    "No trusted TLS connection to %(host)s could be made, so nothing was sent (%(operation)s)."
)
_CLOSED_EARLY = "%(host)s closed the connection before the request, so nothing was sent (%(operation)s). Check the address."
_INVALID_ADDRESS = (
    "“%(host)s” is not a valid host, so nothing was sent (%(operation)s). Correct the address."
)

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Subject:
    """What an exchange is about, and the limits that apply to it."""

    organization_id: int
    instance_id: int | None
    # How messages and records name the instance, such as "Acme (crm, id 7)".
    label: str
    # A label such as "Refresh token"; stored with the interaction.
    operation: str
    # Who answers; messages begin with it, as in "Salesforce rejected the refresh token".
    provider: str = "The provider"
    actor: str = ""
    # Hosts that may be called for this subject although their addresses are private.
    private_hosts: tuple[str, ...] = ()
    # Values that no record of the exchange may show.
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    # For the whole exchange; None means HTTP_TIMEOUT_SECONDS.
    timeout_seconds: float | None = None
    # Nothing is sent after it.
    deadline: Deadline | None = field(default=None, compare=False)


def subject_of(
    platform_request: PlatformRequest,
    operation: str,
    *,
    provider: str = "",
    secrets: Iterable[str] = frozenset(),
    timeout_seconds: float | None = None,
) -> Subject:
    """Return the subject of one operation for a platform request.

    provider: who answers; the element's name unless given. secrets: in addition to the request's own, for example
    the platform's.
    """
    return Subject(
        organization_id=platform_request.organization.pk,
        instance_id=platform_request.instance_id,
        label=platform_request.label,
        operation=operation,
        provider=provider or platform_request.element.name,
        actor=platform_request.actor,
        private_hosts=platform_request.private_hosts,
        secrets=platform_request.secrets | frozenset(secrets),
        timeout_seconds=timeout_seconds,
        deadline=platform_request.deadline,
    )


def session_for(subject: Subject) -> requests.Session:
    """Return a session that records every exchange.

    Cheap: connections belong to the thread.
    """
    session = requests.Session()
    mount(session, subject)
    return session


def mount(session: requests.Session, subject: Subject) -> None:
    """Send a session's requests through a RecordingAdapter, without proxies."""
    session.trust_env = False
    session.headers["User-Agent"] = USER_AGENT
    adapter = RecordingAdapter(subject)
    for prefix in ("https://", "http://"):
        session.mount(prefix, adapter)


def interaction_of(response: requests.Response) -> Interaction:
    """Return the recorded exchange of a response."""
    return cast(Interaction, response.interaction)  # type: ignore[attr-defined]


class _Records(threading.local):
    kept: list[Interaction] | None = None


_records = _Records()


@contextmanager
def deferred_interactions() -> Iterator[list[Interaction]]:
    """Collect this thread's interactions, so that the caller saves many at once.

    They have no id until then.
    """
    kept: list[Interaction] = []
    _records.kept = kept
    try:
        yield kept
    finally:
        _records.kept = None


class RecordingAdapter(BaseAdapter):
    """Send one request within the limits of this module and record the outcome.

    Follows at most MAX_REDIRECTS redirects of a GET, within one origin. Nothing is ever sent twice.

    Raises UnreachableError or BlockedAddressError if nothing was sent; AnswerTimeoutError or AnswerLostError if a
    request was sent and no complete response came; RefusedError for any other redirect.
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self._subject = subject

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = self._exchange(request)
        for _redirect in range(MAX_REDIRECTS):
            target = _followed(request, response)
            if target is None:
                break
            request = request.copy()
            request.prepare_url(target, None)
            response = self._exchange(request)
        if response.is_redirect:
            raise RefusedError(
                _REDIRECTED
                % {
                    "label": self._subject.label,
                    "provider": self._subject.provider,
                    "operation": self._subject.operation,
                    "target": _redirect_target(response.headers["Location"], request),
                    "status": response.status_code,
                },
                status=response.status_code,
                interaction=interaction_of(response),
            )
        return response

    def close(self) -> None:
        """Nothing to close: the connections belong to the thread."""

    def _exchange(self, request: requests.PreparedRequest) -> requests.Response:
        started_at, clock = timezone.now(), monotonic()
        response: requests.Response | None = None
        body = b""
        error: PlatformError | None = None
        thread_connection.request_started, thread_connection.deadline = (
            False,
            self._subject.deadline,
        )
        thread_connection.private_hosts = self._subject.private_hosts
        thread_connection.streaming = None
        try:
            response = thread_connection.adapter.send(
                request,
                stream=True,
                timeout=_timeout(self._timeout_seconds),
                verify=settings.PROVIDER_CA_BUNDLE or True,
            )
            body = _read_body(response)
        except (
            PlatformError,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as caught:
            error = explained(
                caught, request.url or "", self._subject, seconds=self._timeout_seconds
            )
        duration_ms = round((monotonic() - clock) * 1000)
        interaction = self._record(request, response, body, error, started_at, duration_ms)
        if response is None or error is not None:
            error = error or AnswerLostError(self._subject.label)
            error.interaction = interaction
            raise error
        response.raw = io.BytesIO(body)
        response.interaction = interaction  # type: ignore[attr-defined]
        return response

    @property
    def _timeout_seconds(self) -> float:
        return self._subject.timeout_seconds or float(settings.HTTP_TIMEOUT_SECONDS)

    def _record(
        self,
        request: requests.PreparedRequest,
        response: requests.Response | None,
        body: bytes,
        error: PlatformError | None,
        started_at: datetime,
        duration_ms: int,
    ) -> Interaction:
        subject = self._subject
        sent = request.body or b""
        answer_headers = {} if response is None else response.headers
        interaction = Interaction(
            organization_id=subject.organization_id,
            instance_id=subject.instance_id,
            subject=subject.label,
            operation=subject.operation,
            direction=Interaction.Direction.OUT,
            actor=subject.actor,
            method=request.method or "",
            url=redact_url(request.url or "", subject.secrets)[:MAX_URL_CHARACTERS],
            request_headers=redact_headers(request.headers, subject.secrets),
            request_body=_redacted_body(sent, request.headers.get("Content-Type"), subject),
            status=None if response is None else response.status_code,
            response_headers=redact_headers(answer_headers, subject.secrets),
            response_body=_redacted_body(body, answer_headers.get("Content-Type"), subject),
            error=str(error or ""),
            started_at=started_at,
            duration_ms=duration_ms,
        )
        if _records.kept is None:
            _save(interaction)
        else:
            _records.kept.append(interaction)
        return interaction


def explained(caught: Exception, url: str, subject: Subject, *, seconds: float) -> PlatformError:
    """Return the error to raise for an exchange that failed.

    Its message names the host, never the URL or the body. seconds: the time limit.
    """
    is_wrapped = isinstance(caught, requests.RequestException) and caught.args
    cause = caught.args[0] if is_wrapped else caught
    kind, sentence = _kind_and_sentence(cause)
    if not isinstance(cause, PlatformError):
        sentence %= {
            "host": urlsplit(url).netloc.rpartition("@")[2],
            "operation": subject.operation,
            "seconds": seconds,
        }
    return kind(redact_text(f"{subject.label}: {sentence}", subject.secrets))


def _save(interaction: Interaction) -> None:
    """Save an interaction, waiting out a database outage.

    If that fails, keep the response all the same.
    """
    try:
        outlast_outage(lambda: write_interaction(interaction), what="interaction")
    except (DatabaseError, InterfaceError) as error:
        if connection.in_atomic_block:
            raise
        interaction.pk = None
        log.error(
            "interaction not recorded", operation=interaction.operation, error=type(error).__name__
        )


def write_interaction(interaction: Interaction) -> None:
    try:
        interaction.save()
    except IntegrityError:
        # The instance was deleted during the exchange; record the exchange without it.
        interaction.instance_id = None
        interaction.save()


def _timeout(seconds: float) -> Any:
    # Not in requests' types, but it accepts urllib3's Timeout: the only one that limits the whole exchange.
    return urllib3.Timeout(total=seconds)


def _redacted_body(body: str | bytes, content_type: str | None, subject: Subject) -> str:
    text = decoded(body, content_type) if isinstance(body, bytes) else body
    return redact_body(text, content_type or "", subject.secrets)


def _read_body(response: requests.Response) -> bytes:
    """Return the whole body, decompressed.

    Raises AnswerLostError if it exceeds MAX_BODY_BYTES.
    """
    body = bytearray()
    for chunk in response.raw.stream(CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            response.raw.close()
            raise AnswerLostError(_TOO_LONG)
    response.raw.release_conn()
    return bytes(body)


def _kind_and_sentence(cause: Exception) -> tuple[type[PlatformError], str]:
    """Return the error's class and sentence.

    The sentence has placeholders unless the cause is a PlatformError.
    """
    is_timeout = isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError)
    if isinstance(cause, PlatformError):
        return type(cause), str(cause)
    if thread_connection.request_started:
        return (AnswerTimeoutError, _TIMED_OUT) if is_timeout else (AnswerLostError, _CUT_OFF)
    if is_timeout:
        return UnreachableError, _CONNECT_TIMED_OUT
    if isinstance(cause, urllib3.exceptions.SSLError):
        return UnreachableError, f"{_TLS_FAILED} {tls_reason(cause)}"
    if isinstance(cause, urllib3.exceptions.ProtocolError):
        return UnreachableError, _CLOSED_EARLY
    return UnreachableError, _INVALID_ADDRESS


def _followed(request: requests.PreparedRequest, response: requests.Response) -> str | None:
    """Return the URL to follow.

    None if this is not a redirect, or not one that is followed.
    """
    if not response.is_redirect or request.method != "GET":
        return None
    return target_within_origin(request.url or "", response.headers["Location"])


def target_within_origin(url: str, location: str) -> str | None:
    """Return the target of a redirect from a URL; None if it has another origin.

    location: as http.client reads it. Characters that should have been percent-encoded are encoded.
    """
    with suppress(UnicodeError):
        location = location.encode("latin-1").decode()
    try:
        target = quote(urljoin(url, location), safe=_URL_CHARACTERS)
        is_same = _origin(target) == _origin(url)
    except ValueError:
        return None
    return target if is_same else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _redirect_target(location: str, request: requests.PreparedRequest) -> str:
    """Return scheme and host of a redirect's target.

    Its path and query may carry tokens.
    """
    try:
        parts = urlsplit(urljoin(request.url or "", location))
    except ValueError:
        return "an invalid address"
    return storable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
