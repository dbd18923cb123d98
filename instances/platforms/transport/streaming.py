"""Exchanges whose bodies are passed on as they come: the data calls of programs.

open_stream() guards like every other exchange. When the answer is closed, it is recorded without bodies and query,
unless a Trace collects them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import BinaryIO, Self
from urllib.parse import urlsplit, urlunsplit

import urllib3
from django.conf import settings
from django.utils import timezone

from instances.errors import PlatformError, UnusableAnswerError
from instances.models import Interaction
from instances.platforms.transport.batching import record_soon
from instances.platforms.transport.charsets import decoded
from instances.platforms.transport.connections import Streaming, thread_connection
from instances.platforms.transport.failures import explained
from instances.platforms.transport.recording import MAX_URL_CHARACTERS, USER_AGENT
from instances.platforms.transport.subjects import Subject
from instances.redaction import redact_body, redact_headers, redact_url

BLOCK_BYTES = 65_536
TRACED_BYTES = 65_536
# Of a response that nobody reads, this much is read so that its connection can be used again.
_DRAINED_BYTES = 65_536
_TOO_LONG = "%s: the response is longer than %d bytes, so it was not used (%s)."
_INVALID_STATUS = "%s: the response has no status of HTTP (%d), so it was not used (%s)."


@dataclass(frozen=True, slots=True)
class StreamBody:
    """A request body that can be sent again. length: in bytes."""

    file: BinaryIO
    length: int


@dataclass(slots=True)
class Trace:
    """The beginning of both bodies, for instances that are being traced."""

    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)

    def keep(self, place: bytearray, block: bytes) -> None:
        place += block[: max(0, TRACED_BYTES - len(place))]


@dataclass(slots=True)
class _Exchange:
    """What is recorded of one exchange."""

    subject: Subject
    method: str
    url: str
    headers: Mapping[str, str]
    body: StreamBody | None
    trace: Trace | None
    started_at: datetime = field(default_factory=timezone.now)
    clock: float = field(default_factory=monotonic)
    is_recorded: bool = False

    def record(
        self,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        received_bytes: int = 0,
        error: PlatformError | None = None,
    ) -> None:
        if self.is_recorded:
            return
        self.is_recorded = True
        subject, url = self.subject, self.url if self.trace else _without_query(self.url)
        interaction = Interaction(
            kind=Interaction.Kind.DATA,
            organization_id=subject.organization_id,
            instance_id=subject.instance_id,
            subject=subject.label,
            operation=subject.operation,
            direction=Interaction.Direction.OUT,
            actor=subject.actor,
            method=self.method,
            url=redact_url(url, subject.secrets)[:MAX_URL_CHARACTERS],
            status=status,
            error=str(error or ""),
            started_at=self.started_at,
            duration_ms=round((monotonic() - self.clock) * 1000),
            request_bytes=self.body.length if self.body else 0,
            response_bytes=received_bytes,
        )
        if self.trace:
            self._add_trace(interaction, headers or {})
        if error:
            error.interaction = interaction
        record_soon(interaction)

    def _add_trace(self, interaction: Interaction, headers: Mapping[str, str]) -> None:
        trace, secrets = self.trace or Trace(), self.subject.secrets
        interaction.request_headers = redact_headers(self.headers, secrets)
        interaction.request_body = _traced_text(trace.sent, self.headers, secrets)
        interaction.response_headers = redact_headers(headers, secrets)
        interaction.response_body = _traced_text(trace.received, headers, secrets)


class StreamedAnswer:
    """A response whose body has not been read yet. Read it with blocks() or read(), and close it in any case."""

    def __init__(self, response: urllib3.BaseHTTPResponse, exchange: _Exchange) -> None:
        self._response = response
        self._exchange = exchange
        self._received_bytes = 0
        self._is_over = False
        self.status = response.status
        # The fields of one name, joined (RFC 9110 5.3).
        self.headers: Mapping[str, str] = response.headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def blocks(self) -> Iterator[bytes]:
        """Yield the body as it comes, in its content encoding.

        Raises PlatformError if it is cut off, or takes too long.
        """
        yield from self._read_blocks(is_decoded=False)

    def read(self, *, max_bytes: int) -> bytes:
        """Return the whole body, decompressed.

        Raises PlatformError, also for a longer one.
        """
        body = bytearray()
        for block in self._read_blocks(is_decoded=True):
            body += block
            if len(body) > max_bytes:
                subject = self._exchange.subject
                raise UnusableAnswerError(_TOO_LONG % (subject.label, max_bytes, subject.operation))
        return bytes(body)

    def close(self) -> None:
        """End the exchange and record it. Closing twice does nothing more."""
        if self._exchange.is_recorded:
            return
        self._release()
        self._record()

    def _read_blocks(self, *, is_decoded: bool) -> Iterator[bytes]:
        trace = self._exchange.trace
        try:
            for block in self._response.stream(BLOCK_BYTES, decode_content=is_decoded):
                self._received_bytes += len(block)
                if trace:
                    trace.keep(trace.received, block)
                yield block
            self._is_over = True
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as caught:
            exchange = self._exchange
            error = explained(
                caught,
                exchange.url,
                exchange.subject,
                seconds=settings.DATA_CALL_TIMEOUT_SECONDS,
            )
            self._record(error)
            raise error from None
        finally:
            self.close()

    def _release(self) -> None:
        """Give the connection back, after a rest of the body that is short. Close it if there may be more."""
        length = self.headers.get("Content-Length", "")
        is_short = length.isascii() and length.isdigit() and int(length) <= _DRAINED_BYTES
        try:
            if is_short and not self._received_bytes:
                self._response.drain_conn()
                self._is_over = True
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            self._is_over = False
        if self._is_over:
            self._response.release_conn()
        else:
            self._response.close()

    def _record(self, error: PlatformError | None = None) -> None:
        self._exchange.record(
            status=self.status,
            headers=self.headers,
            received_bytes=self._received_bytes,
            error=error,
        )


def open_stream(
    subject: Subject,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: StreamBody | None = None,
    is_traced: bool = False,
) -> StreamedAnswer:
    """Send a request, and return the response as soon as its head is there.

    url: path and query are sent byte for byte. Follows no redirect, and sends nothing twice.

    Raises UnreachableError or BlockedAddressError if nothing was sent, else AnswerTimeoutError or AnswerLostError;
    UnusableAnswerError for a status outside 200 to 599.
    """
    exchange = _Exchange(subject, method, url, headers, body, Trace() if is_traced else None)
    _prepare_thread(subject, url)
    try:
        response = thread_connection.adapter.pool_of(url).urlopen(
            method,
            # The connection sends Streaming.target.
            "/",
            body=_rewound(body, exchange.trace),
            headers=_sent_headers(headers, body),
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(
                connect=settings.HTTP_TIMEOUT_SECONDS, read=settings.DATA_CALL_TIMEOUT_SECONDS
            ),
            preload_content=False,
            decode_content=False,
        )
    except (PlatformError, urllib3.exceptions.HTTPError, OSError, ValueError) as caught:
        seconds = settings.DATA_CALL_TIMEOUT_SECONDS
        error = explained(caught, url, subject, seconds=seconds)
        exchange.record(error=error)
        raise error from None
    if not 200 <= response.status < 600:
        # Neither can a web server pass on another status (RFC 9110 15), nor is it clear where such a response ends.
        response.close()
        message = _INVALID_STATUS % (subject.label, response.status, subject.operation)
        invalid = UnusableAnswerError(message, status=response.status)
        exchange.record(status=response.status, error=invalid)
        raise invalid
    return StreamedAnswer(response, exchange)


def _prepare_thread(subject: Subject, url: str) -> None:
    thread_connection.request_started = False
    thread_connection.deadline = subject.deadline
    thread_connection.private_hosts = subject.private_hosts
    parts = urlsplit(url)
    thread_connection.streaming = Streaming(
        target=urlunsplit(("", "", parts.path or "/", parts.query, "")),
        wait_seconds=settings.DATA_CALL_TIMEOUT_SECONDS,
        total_seconds=settings.DATA_CALL_MAX_SECONDS,
    )


def _sent_headers(headers: Mapping[str, str], body: StreamBody | None) -> dict[str, str]:
    """Return the headers with those of the transport; a length keeps the body from being sent in chunks."""
    length = {"Content-Length": str(body.length)} if body else {}
    return {"User-Agent": USER_AGENT, **headers, **length}


def _rewound(body: StreamBody | None, trace: Trace | None) -> BinaryIO | None:
    if body is None:
        return None
    body.file.seek(0)
    if trace:
        trace.keep(trace.sent, body.file.read(TRACED_BYTES))
        body.file.seek(0)
    return body.file


def _without_query(url: str) -> str:
    return url.partition("?")[0]


def _traced_text(body: bytearray, headers: Mapping[str, str], secrets: frozenset[str]) -> str:
    """Return the beginning of a body, redacted: what the cut may have halved is left out."""
    names = {name.lower(): value for name, value in headers.items()}
    if names.get("content-encoding", "identity").lower() not in {"", "identity"}:
        return f"[{len(body)} bytes, {names['content-encoding']}]"
    content_type = names.get("content-type", "")
    text = redact_body(
        decoded(bytes(body), content_type), content_type, secrets, max_characters=TRACED_BYTES
    )
    if len(body) < TRACED_BYTES:
        return text
    return text[: -max(map(len, secrets), default=0) - 1]
