"""Guard, limit, time and record every exchange.

exchange(subject, …) is for plain calls; mount(session, subject) routes a library's own session (Authlib's) through the
same adapter. Each call returns a response or raises a PlatformError with its interaction.
"""

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from time import monotonic
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import quote, urljoin, urlsplit

import requests
import structlog
import urllib3
from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, connection
from django.utils import timezone
from requests.adapters import BaseAdapter
from requests.auth import AuthBase
from requests.utils import default_headers

from instances.errors import AnswerLostError, PlatformError, RefusedError
from instances.models import Interaction
from instances.platforms.transport.charsets import decoded
from instances.platforms.transport.connections import thread_connection
from instances.platforms.transport.failures import MAY_BE_DONE, explained
from instances.platforms.transport.subjects import Subject
from instances.queries.outages import outlast_outage
from instances.redaction import RecordedMessage, redact_exchange, storable

MAX_BODY_BYTES = 1024 * 1024
CHUNK_BYTES = 16 * 1024
MAX_REDIRECTS = 3
USER_AGENT = "instance-manager"
_DEFAULT_HEADERS = {**default_headers(), "User-Agent": USER_AGENT}
# What is stored of a URL.
MAX_URL_CHARACTERS = 4000
# RFC 3986 2.2 and 2.3, and the % of what is encoded already: so a URL stays byte for byte as it was sent.
_URL_CHARACTERS = "%:/?#[]@!$&'()*+,;=-._~"
_REDIRECTED = (
    "%(label)s: %(provider)s answered with a redirect to %(target)s, which was not followed (%(operation)s, "
    "HTTP %(status)d). Correct the address."
)
_TOO_LONG = f"The response is longer than {MAX_BODY_BYTES} bytes, so it was not read. {MAY_BE_DONE}"

log = structlog.stdlib.get_logger(__name__)


def exchange(
    subject: Subject,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] = MappingProxyType({}),
    params: Mapping[str, str] = MappingProxyType({}),
    json: Any = None,
    auth: AuthBase | None = None,
) -> requests.Response:
    """Send one request and record the exchange. Connections belong to the thread, cookies are not kept.

    params: of the query. json: the body.

    Raises what RecordingAdapter raises.
    """
    request = requests.PreparedRequest()
    request.prepare(
        method=method,
        url=url,
        headers={**_DEFAULT_HEADERS, **headers},
        params=params,
        json=json,
        auth=auth,
    )
    # Without a Session, whose settings for all requests cost more than the request.
    return RecordingAdapter(subject).send(request)


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
            response = thread_connection.adapter.send_once(request, seconds=self._timeout_seconds)
            body = _read_body(response)
        except (PlatformError, urllib3.exceptions.HTTPError, OSError, ValueError) as caught:
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
        url, [sent, received] = redact_exchange(
            request.url or "",
            [
                _message(request.headers, request.body or b""),
                _message({} if response is None else response.headers, body),
            ],
            subject.secrets,
        )
        interaction = Interaction(
            organization_id=subject.organization_id,
            instance_id=subject.instance_id,
            subject=subject.label,
            operation=subject.operation,
            direction=Interaction.Direction.OUT,
            actor=subject.actor,
            method=request.method or "",
            url=url[:MAX_URL_CHARACTERS],
            request_headers=sent.headers,
            request_body=sent.body,
            status=None if response is None else response.status_code,
            response_headers=received.headers,
            response_body=received.body,
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


def _message(headers: Mapping[str, str], body: str | bytes) -> RecordedMessage:
    text = decoded(body, headers.get("Content-Type")) if isinstance(body, bytes) else body
    return RecordedMessage(headers, text)


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
