"""The base of the HTTP servers that tests listen with: a free port on the loopback, a thread for each connection."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class LoopbackServer:
    """A context manager that listens as long as it is entered. Handlers find it as `self.server.owner`."""

    def __init__(self, handler: type["LoopbackHandler"]) -> None:
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.owner = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.netloc}"


class _Server(ThreadingHTTPServer):
    owner: Any
    daemon_threads = True
    # With a longer backlog, many simultaneous clients need not retransmit their SYN.
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Print nothing: some tests are about clients that disconnect."""


class LoopbackHandler(BaseHTTPRequestHandler):
    """HTTP/1.1, without a log."""

    protocol_version = "HTTP/1.1"
    timeout = 5
    # Headers and body are sent as two packets; the second must not wait for the first one's acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def log_message(self, *_: object) -> None:
        """Print nothing: the servers record what they receive."""
