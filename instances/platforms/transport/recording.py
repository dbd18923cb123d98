"""Sessions whose every exchange is guarded, limited, timed and recorded as one Interaction.

session_for(subject) gives a session for plain calls; mount(session, subject) sends a library's own session
(Authlib's) through the same door. What comes out is an answer, or a PlatformError with its interaction.
"""

import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

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
from instances.platforms.transport.connections import thread_connection
from instances.queries.outages import outlast_outage
from instances.redaction import redact_body, redact_headers, redact_text, redact_url, storable

MAX_BODY_BYTES = 1024 * 1024
CHUNK_BYTES = 16 * 1024
MAX_REDIRECTS = 3
_MAY_BE_DONE = "It may have carried out the request all the same."

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an exchange is about. secrets: values that no record of it may show. private_hosts: those that may be called
    for it though their address is private. timeout_seconds: for the whole exchange; None: HTTP_TIMEOUT_SECONDS.
    deadline: nothing is sent after it.
    """

    organization_id: int
    instance_id: int | None
    label: str
    operation: str
    actor: str = ""
    private_hosts: tuple[str, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    timeout_seconds: float | None = None
    deadline: Deadline | None = field(default=None, compare=False)


def subject_of(
    platform_request: PlatformRequest,
    operation: str,
    *,
    secrets: Iterable[str] = frozenset(),
    timeout_seconds: float | None = None,
) -> Subject:
    """The subject of one operation for a draft. secrets: beside the draft's own, for example the platform's."""
    return Subject(
        organization_id=platform_request.organization.pk,
        instance_id=platform_request.instance_id,
        label=platform_request.label,
        operation=operation,
        actor=platform_request.actor,
        private_hosts=platform_request.private_hosts,
        secrets=platform_request.secrets | frozenset(secrets),
        timeout_seconds=timeout_seconds,
        deadline=platform_request.deadline,
    )


def session_for(subject: Subject) -> requests.Session:
    """A session whose every exchange is recorded for the subject. Cheap: connections belong to the thread."""
    session = requests.Session()
    mount(session, subject)
    return session


def mount(session: requests.Session, subject: Subject) -> None:
    """Let a session reach the network through the RecordingAdapter alone, without proxies or netrc."""
    session.trust_env = False
    session.headers["User-Agent"] = "instance-manager"
    adapter = RecordingAdapter(subject)
    for prefix in ("https://", "http://"):
        session.mount(prefix, adapter)


def interaction_of(response: requests.Response) -> Interaction:
    """The recorded exchange that an answer came from."""
    return cast(Interaction, response.interaction)  # type: ignore[attr-defined]


class _Records(threading.local):
    kept: list[Interaction] | None = None


_records = _Records()


@contextmanager
def deferred_interactions() -> Iterator[list[Interaction]]:
    """This thread's interactions, not written: for who writes many at once, with what came of them.

    Until then, they have no id.
    """
    kept: list[Interaction] = []
    _records.kept = kept
    try:
        yield kept
    finally:
        _records.kept = None


class RecordingAdapter(BaseAdapter):
    """Sends one request, within the limits of this module, and records what became of it.

    Of redirects it follows at most MAX_REDIRECTS, of a GET, within one origin. Nothing is ever sent twice.

    Raises UnreachableError or BlockedAddressError when nothing was sent; AnswerTimeoutError or AnswerLostError
    when something was and no whole answer came; RefusedError for any other redirect.
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self._subject = subject

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = self._exchange(request)
        for _redirect in range(MAX_REDIRECTS):
            target = _target_within_origin(request, response)
            if target is None:
                break
            request = request.copy()
            request.prepare_url(target, None)
            response = self._exchange(request)
        if response.is_redirect:
            raise RefusedError(
                f"{self._subject.label}: {self._subject.operation} was answered with a redirect to "
                f"{_where(response.headers['Location'], request)}, which is not followed. Correct the address.",
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
            error = self._explain(caught, request)
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

    def _explain(self, caught: Exception, request: requests.PreparedRequest) -> PlatformError:
        """What happened as the error to raise: a sentence of the host, never of the URL or the body."""
        is_wrapped = isinstance(caught, requests.RequestException) and caught.args
        cause = caught.args[0] if is_wrapped else caught
        host = urlsplit(request.url or "").netloc.rpartition("@")[2]
        kind, why = _what_happened(cause, host, timeout_seconds=self._timeout_seconds)
        sentence = f"{self._subject.label}: {self._subject.operation} failed: {why}"
        return kind(redact_text(sentence, self._subject.secrets))

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
            url=redact_url(request.url or "", subject.secrets),
            request_headers=redact_headers(request.headers, subject.secrets),
            request_body=_shown(sent, request.headers.get("Content-Type"), subject),
            status=None if response is None else response.status_code,
            response_headers=redact_headers(answer_headers, subject.secrets),
            response_body=_shown(body, answer_headers.get("Content-Type"), subject),
            error=str(error or ""),
            started_at=started_at,
            duration_ms=duration_ms,
        )
        if _records.kept is None:
            _save(interaction)
        else:
            _records.kept.append(interaction)
        return interaction


def _save(interaction: Interaction) -> None:
    """Write it, outlasting a database outage. Where that is in vain, the answer must not be lost with its record."""
    try:
        outlast_outage(lambda: _write(interaction), what="interaction")
    except (DatabaseError, InterfaceError) as error:
        if connection.in_atomic_block:
            raise
        interaction.pk = None
        log.error(
            "interaction not recorded", operation=interaction.operation, error=type(error).__name__
        )


def _write(interaction: Interaction) -> None:
    try:
        interaction.save()
    except IntegrityError:
        # The instance was deleted during the exchange, which is told of all the same.
        interaction.instance_id = None
        interaction.save()


def _timeout(seconds: float) -> Any:
    # Typed without, but requests takes urllib3's own: the only one that limits the exchange as a whole.
    return urllib3.Timeout(total=seconds)


def _shown(body: str | bytes, content_type: str | None, subject: Subject) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    return redact_body(text, content_type or "", subject.secrets)


def _read_body(response: requests.Response) -> bytes:
    """The whole body, decompressed. Raises AnswerLostError beyond MAX_BODY_BYTES."""
    body = bytearray()
    for chunk in response.raw.stream(CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            response.raw.close()
            raise AnswerLostError(
                f"the answer is longer than {MAX_BODY_BYTES} bytes, so it was not read. {_MAY_BE_DONE}"
            )
    response.raw.release_conn()
    return bytes(body)


def _what_happened(
    cause: Exception, host: str, *, timeout_seconds: float
) -> tuple[type[PlatformError], str]:
    seconds = f"{timeout_seconds:g} seconds"
    is_timeout = isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError)
    if isinstance(cause, PlatformError):
        return type(cause), str(cause)
    if thread_connection.request_started and is_timeout:
        return AnswerTimeoutError, f"{host} did not answer within {seconds}. {_MAY_BE_DONE}"
    if thread_connection.request_started:
        why = f"{host} cut the connection, or its answer cannot be read. {_MAY_BE_DONE}"
        return AnswerLostError, why
    return (
        UnreachableError,
        f"{_why_unreachable(cause, host, is_timeout=is_timeout)} Nothing was sent.",
    )


def _why_unreachable(cause: Exception, host: str, *, is_timeout: bool) -> str:
    if is_timeout:
        return f"{host} accepted a connection but did not go on in time. Try again later."
    if isinstance(cause, urllib3.exceptions.SSLError):
        return f"{host} does not prove its identity (TLS). Check the address, and its certificate."
    if isinstance(cause, urllib3.exceptions.ProtocolError):
        return f"{host} cut the connection before the request. Check the address."
    return f"{host or 'the address'} is not something a request can be sent to. Check the address."


def _target_within_origin(
    request: requests.PreparedRequest, response: requests.Response
) -> str | None:
    """Where a GET is to go on; None when this is no redirect, or not one that is followed."""
    if not response.is_redirect or request.method != "GET":
        return None
    url = request.url or ""
    try:
        target = urljoin(url, response.headers["Location"])
        is_same = _origin(target) == _origin(url)
    except ValueError:
        return None
    return target if is_same else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _where(location: str, request: requests.PreparedRequest) -> str:
    """Scheme and host of a redirect's target: its path and query may carry tokens."""
    try:
        parts = urlsplit(urljoin(request.url or "", location))
    except ValueError:
        return "an address that makes no sense"
    return storable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
