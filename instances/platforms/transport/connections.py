"""Connections to checked addresses, and responses with a total time limit."""

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from django.conf import settings
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from instances.catalogue.hosts import is_listed
from instances.deadlines import Deadline
from instances.errors import BlockedAddressError, LeaseLostError, UnreachableError
from instances.platforms.transport.addresses import is_metadata, is_public

# Servers close idle connections after 2 s or more; never reuse one that may be closing.
MAX_IDLE_SECONDS = 1.0
# After the timeout, time to read what arrived while this process was stopped.
LATE_READ_SECONDS = 0.5
_ARRIVED_SECONDS = 0.01
# Head and body of a request are sent together up to this size.
_JOINED_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Streaming:
    """How the current exchange of a thread differs from others, whose whole response is read at once.

    target: path and query, which are sent byte for byte. wait_seconds: for the head of the response, and for each part
    of its body. total_seconds: for all of it.
    """

    target: str
    wait_seconds: float
    total_seconds: float


def _checked_addresses(
    name: str, port: int, *, seconds: float, private_hosts: Sequence[str] = ()
) -> list[tuple[socket.AddressFamily, Any]]:
    """Resolve a name.

    Raises BlockedAddressError if any address is neither public nor allowed.

    private_hosts: those that operators listed for the subject. Unlike PROVIDER_ALLOWED_PRIVATE_HOSTS, they never
    open the address of a machine's metadata service.

    Raises UnreachableError if the name cannot be resolved within seconds.
    """
    host = f"[{name}]" if ":" in name else name.rstrip(".").lower()
    try:
        resolved = _look_up(name, port, seconds=seconds)
    except (OSError, UnicodeError):
        raise UnreachableError(
            f"{host} could not be resolved (DNS), so nothing was sent. Check the address."
        ) from None
    allowed = {name.lower() for name in settings.PROVIDER_ALLOWED_PRIVATE_HOSTS}
    if allowed.isdisjoint({host, f"{host}:{port}"}):
        is_private_host = is_listed(f"{host}:{port}", private_hosts)
        for *_, address in resolved:
            is_open = is_private_host and not is_metadata(str(address[0]))
            if not (is_open or is_public(str(address[0]))):
                raise BlockedAddressError(
                    f"{host}:{port} is a private address, so nothing was sent. Correct it, or ask an operator to "
                    "allow it in the organization's private hosts or in PROVIDER_ALLOWED_PRIVATE_HOSTS."
                )
    return [(family, address) for family, *_, address in resolved]


def _look_up(name: str, port: int, *, seconds: float) -> list[Any]:
    """Call getaddrinfo() with a time limit.

    Raises OSError (TimeoutError), UnicodeError.
    """
    answers = SimpleQueue[list[Any] | Exception]()

    def resolve() -> None:
        try:
            answers.put(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=resolve, daemon=True).start()
    try:
        answer = answers.get(timeout=max(seconds, 0.001))
    except Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


class _DeadlineReader(io.RawIOBase):
    """Read a socket until its timeout, counted over all reads; a stream, for its total time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._stream = sock.makefile("rb", buffering=0)
        self._streaming = thread_connection.streaming
        seconds = self._streaming.total_seconds if self._streaming else sock.gettimeout()
        self._ends_at = monotonic() + (seconds or 0)
        self._ends_late_at = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._ends_at - monotonic()
        if remaining <= 0:
            # Read only what has arrived: the response may have come while this process was stopped.
            self._ends_late_at = self._ends_late_at or monotonic() + LATE_READ_SECONDS
            if monotonic() > self._ends_late_at:
                raise TimeoutError
            remaining = _ARRIVED_SECONDS
        if self._streaming:
            remaining = min(remaining, self._streaming.wait_seconds)
        self._sock.settimeout(remaining)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_DeadlineReader(sock))

    def _read_status(self) -> tuple[str, int, str]:
        """Read the status line of the final response (RFC 9110 15.2).

        http.client skips 100 only. After any other, such as 103, the connection's next request would get the final
        response of this one.
        """
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # see the test of this
            if not HTTPStatus.SWITCHING_PROTOCOLS < status < HTTPStatus.OK:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _GuardedConnection(urllib3.connection.HTTPConnection):
    """Connect to exactly the addresses that were checked, which defeats DNS rebinding.

    The certificate check, SNI and the Host header still use the name.
    """

    response_class = _DeadlineResponse
    _answered_at = 0.0
    _unsent: list[bytes] | None = None
    _opened_for: tuple[str, ...] = ()

    def _new_conn(self) -> socket.socket:
        ends_at = monotonic() + float(self.timeout or 0)
        self._opened_for = thread_connection.private_hosts
        candidates = _checked_addresses(
            self._dns_host,
            self.port,
            seconds=ends_at - monotonic(),
            private_hosts=self._opened_for,
        )
        failure: OSError = TimeoutError()
        for number, (family, address) in enumerate(candidates):
            share = (ends_at - monotonic()) / (len(candidates) - number)
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(max(share, 0.001))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error
            else:
                sock.settimeout(max(ends_at - monotonic(), 0.001))
                return sock
        # Not an OSError: urllib3 treats some of those as if a response were on its way.
        raise UnreachableError(
            f"{self.host}:{self.port} does not accept connections ({failure.strerror or 'timed out'}), "
            "so nothing was sent. Check the address, or try again later."
        )

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """Send head and body in one write if they are short, so that the server gets them together."""
        if thread_connection.streaming:
            url = thread_connection.streaming.target
        self._unsent = []
        try:
            super().request(method, url, *args, **kwargs)
            unsent = self._unsent
        finally:
            self._unsent = None
        if unsent:
            self.send(b"".join(unsent))

    def send(self, data: Any) -> None:
        if self._unsent is not None:
            self._unsent.append(data)
            if sum(map(len, self._unsent)) <= _JOINED_BYTES:
                return
            data, self._unsent = b"".join(self._unsent), None
        if self.sock is None:
            self.connect()
        if thread_connection.deadline and thread_connection.deadline.has_passed:
            raise LeaseLostError(
                "This process's lease ended before the request, so nothing was sent. Another process may have taken "
                "over."
            )
        thread_connection.request_started = True
        super().send(data)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # like urllib3
        response = super().getresponse()
        self._answered_at = monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        """Whether the pool may reuse it: only for the same private_hosts."""
        is_fresh = monotonic() - self._answered_at < MAX_IDLE_SECONDS
        return (
            super().is_connected
            and is_fresh
            and self._opened_for == thread_connection.private_hosts
        )


class _GuardedTLSConnection(_GuardedConnection, urllib3.connection.HTTPSConnection):
    pass


class _GuardedPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _GuardedTLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _GuardedTLSConnection


@cache
def _tls_context(ca_bundle: str) -> ssl.SSLContext:
    """Return the one context of all connections: each of its own would hold a copy of the bundle."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(ca_bundle)
    return context


def _tls_options() -> dict[str, Any]:
    context = _tls_context(settings.PROVIDER_CA_BUNDLE or DEFAULT_CA_BUNDLE_PATH)
    return {"ssl_context": context, "cert_reqs": "CERT_REQUIRED"}


class GuardedAdapter(HTTPAdapter):
    # That of the last request, which is often that of the next.
    _last_pool: urllib3.HTTPConnectionPool | None = None
    _last_origin: tuple[str, str, str] | None = None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _GuardedPool, "https": _GuardedTLSPool}

    def send_once(self, request: requests.PreparedRequest, *, seconds: float) -> requests.Response:
        """Send a request, and return the response before its body is read. seconds: for the whole exchange.

        Unlike the inherited send(), it looks for no proxy and no other certificates, and leaves urllib3's errors as
        they are. Raises them, OSError, ValueError, PlatformError.
        """
        path = request.path_url
        response = self.pool_of(request.url or "").urlopen(
            request.method or "",
            # With two slashes, it would be read as a host.
            f"/{path.lstrip('/')}" if path.startswith("//") else path,
            body=request.body,
            headers=request.headers,
            # Nothing is sent twice.
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(total=seconds),
            preload_content=False,
            decode_content=False,
        )
        return self.build_response(request, response)

    def pool_of(self, url: str) -> urllib3.HTTPConnectionPool:
        """Return the pool of this thread for a URL's origin. Raises ValueError if it has none."""
        parts = urlsplit(url)
        origin = parts.scheme, parts.netloc, settings.PROVIDER_CA_BUNDLE
        if self._last_pool is None or self._last_origin != origin:
            if not parts.hostname:
                raise ValueError("a URL without a host")
            options = _tls_options() if parts.scheme == "https" else {}
            self._last_pool = self.poolmanager.connection_from_host(
                parts.hostname, port=parts.port, scheme=parts.scheme, pool_kwargs=options
            )
            self._last_origin = origin
        return self._last_pool


class ThreadConnection(threading.local):
    """One thread's connections, and the limits of its current request."""

    def __init__(self) -> None:
        self.adapter = GuardedAdapter(pool_maxsize=1)
        # Whether any byte of the current request was sent.
        self.request_started = False
        self.private_hosts: tuple[str, ...] = ()
        # Nothing is sent after it.
        self.deadline: Deadline | None = None
        self.streaming: Streaming | None = None


thread_connection = ThreadConnection()
