"""The settings of gunicorn, which reads this module (`--config python:config.web_server`), and its worker.

gunicorn's own worker gives a thread to each connection that has sent its first byte, so a few clients that send slowly
hold all threads. This one gathers a request first, in the loop that waits for all connections. Calls with an Element
token wait for providers, so they have threads of their own.
"""

import re
import selectors
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import cached_property, partial
from typing import Any

from django.conf import settings
from django.db import connections
from gunicorn import http
from gunicorn.workers.gthread import TConn, ThreadWorker

from config.thread_pool import RecentFirstPool
from instances.queries.connection_slots import share_connections

# How long a client may take to send a request, or its first GATHERED_BYTES.
READ_SECONDS = 20.0
GATHERED_BYTES = 1_048_576
# The rest of a longer body is read by a thread, for as long as this rate needs.
SLOWEST_BYTES_PER_SECOND = 50_000
SPARE_THREADS = 8

_HEAD_END = b"\r\n\r\n"
_MAX_HEAD_BYTES = _RECEIVED_BYTES = 65_536
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,18})[ \t]*$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:.*chunked", re.IGNORECASE | re.MULTILINE)
_ELEMENT = re.compile(rb"^authorization:.*\belement[:\s]", re.IGNORECASE | re.MULTILINE)
_EXPECT = re.compile(rb"^expect:[ \t]*100-continue", re.IGNORECASE | re.MULTILINE)


class _Gathered:
    """What a connection has sent of its next request."""

    def __init__(self, received: bytes) -> None:
        self.received = bytearray(received)
        self.is_told_to_continue = False
        self._head: bytes | None = None

    @property
    def head(self) -> bytes | None:
        """Request line and header fields; None until they are complete."""
        if self._head is None and (end := self.received.find(_HEAD_END)) >= 0:
            self._head = bytes(self.received[:end]).replace(b"\r\n", b"\n")
        return self._head

    @property
    def is_chunked(self) -> bool:
        return bool(_CHUNKED.search(self.head or b""))

    @property
    def has_element_token(self) -> bool:
        """Whether a provider may be called for it."""
        return bool(_ELEMENT.search(self.head or b""))

    @property
    def is_expecting(self) -> bool:
        """Whether the client sends its body only after it is told to (RFC 9110 10.1.1)."""
        return bool(_EXPECT.search(self.head or b"")) and not self.is_told_to_continue

    @property
    def missing_bytes(self) -> int:
        """How much of a body of known length is to come."""
        length = _LENGTH.search(self.head or b"")
        return int(length[1]) - self._body_bytes if length and not self.is_chunked else 0

    @property
    def is_refused(self) -> bool:
        return self.head is None and len(self.received) > _MAX_HEAD_BYTES

    @property
    def is_enough(self) -> bool:
        """Whether a thread need not wait for more, or has to spool what is sent."""
        if self.head is None:
            return False
        if self._body_bytes >= GATHERED_BYTES:
            return True
        if self.is_chunked:
            return self._body_bytes > 0 and self.received.endswith(_HEAD_END)
        return self.missing_bytes <= 0

    @property
    def _body_bytes(self) -> int:
        return len(self.received) - self.received.find(_HEAD_END) - len(_HEAD_END)


class GatheringWorker(ThreadWorker):
    """A worker with threads whose clients cannot hold a thread by sending slowly."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # When a thread stops reading the body that it was given the beginning of.
        self._read_until: dict[TConn, float] = {}

    def enqueue_req(self, conn: TConn) -> None:
        """Gather the next request of a connection: gunicorn calls this where it would use a thread."""
        if conn.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        if conn.parser is None:
            conn.parser = http.get_parser(conn.cfg, conn.sock, conn.client)
            conn.initialized = True
        gathered = _Gathered(conn.parser.unreader.take_buffered())
        conn.sock.setblocking(False)
        # gunicorn closes what is pending for longer.
        conn.timeout = time.monotonic() + READ_SECONDS
        self.pending_conns.append(conn)
        gather = partial(self._gather, conn, gathered)
        self.poller.register(conn.sock, selectors.EVENT_READ, gather)
        if gathered.is_enough:
            self._hand_on(conn, gathered)

    def _gather(self, conn: TConn, gathered: _Gathered, sock: socket.socket) -> None:
        try:
            received = sock.recv(_RECEIVED_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        gathered.received += received
        if not received or gathered.is_refused:
            if received:
                _send(sock, b"431 Request Header Fields Too Large\r\nConnection: close")
            self._stop_waiting(conn)
            self.nr_conns -= 1
            conn.close()
        elif gathered.is_enough:
            self._hand_on(conn, gathered)
        elif gathered.is_expecting:
            gathered.is_told_to_continue = True
            _send(sock, b"100 Continue")

    def _hand_on(self, conn: TConn, gathered: _Gathered) -> None:
        """Give a request to a thread. Of a long body, the thread reads the rest."""
        self._stop_waiting(conn)
        if gathered.is_chunked or gathered.missing_bytes > 0:
            seconds = READ_SECONDS + gathered.missing_bytes / SLOWEST_BYTES_PER_SECOND
            self._read_until[conn] = time.monotonic() + seconds
        conn.parser.unreader.unread(bytes(gathered.received))
        if gathered.has_element_token:
            self._enqueue_data_call(conn)
        else:
            super().enqueue_req(conn)

    def _enqueue_data_call(self, conn: TConn) -> None:
        """As gunicorn's enqueue_req(), with other threads."""
        done = self._data_threads.submit(self._handle_data_call, conn)
        done.add_done_callback(
            lambda future: self.method_queue.defer(self.finish_request, conn, future)
        )

    @cached_property
    def _data_threads(self) -> RecentFirstPool:
        # Some more than there may be calls in progress, so that there is one to refuse further calls.
        count = settings.DATA_CALLS_AT_ONCE + SPARE_THREADS
        return RecentFirstPool(count, at_end=connections.close_all)

    def _handle_data_call(self, conn: TConn) -> Any:
        share_connections()
        return self.handle(conn)

    def _stop_waiting(self, conn: TConn) -> None:
        self.poller.unregister(conn.sock)
        self.pending_conns.remove(conn)

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        self._read_until.pop(conn, None)
        super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Also end the reading of bodies that take too long; the thread then sees the end of the body."""
        super().murder_pending()
        now = time.monotonic()
        for conn in [conn for conn, ends_at in self._read_until.items() if ends_at < now]:
            del self._read_until[conn]
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RD)


def _send(sock: socket.socket, answer: bytes) -> None:
    with suppress(OSError):
        sock.send(b"HTTP/1.1 %b\r\n\r\n" % answer)


# gunicorn's settings

worker_class = GatheringWorker
threads = 16  # more than processors: most of them wait for a provider's response
graceful_timeout = 3
loglevel = "warning"
limit_request_line = 0  # codes of providers may have 8 KB; _MAX_HEAD_BYTES bounds what is read
control_socket_disable = True
