"""A provider's API on the loopback, for data calls: it records what it gets, byte for byte."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

BLOCK = b"x" * 65_536


@dataclass(frozen=True)
class Received:
    method: str
    # Path and query as they were sent.
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Reply:
    """status, headers and body of a response; a generator is sent in chunks."""

    status: int = 200
    body: bytes | Iterator[bytes] = b'{"ok": true}'
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    # Announced, and more than what is sent, if the connection is to be cut.
    length: int | None = None
    # The whole response as bytes, instead of the above; the connection stays open.
    raw: bytes = b""


class ProviderApi:
    """with ProviderApi() as api: api.url, api.netloc; api.received: requests below /api, in order.

    api.replies: functions that take a Received and return a Reply, by the path below /api; without one, 200.
    api.access_tokens: those that are accepted; empty: all. /token refreshes and fills it; api.refreshes counts.
    api.token_values: further fields of its responses. released: set() to answer what wait_for_release() holds.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.replies: dict[str, Callable[[Received], Reply]] = {}
        self.access_tokens: set[str] = set()
        self.refreshes = 0
        self.is_refresh_refused = False
        self.token_values: dict[str, str] = {}
        self.refresh_seconds = 0.0
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.netloc}"

    @property
    def last(self) -> Received:
        return self.received[-1]

    def wait_for_release(self, _: Received) -> Reply:
        self.released.wait(30)
        return Reply()

    def answer(self, request: Received) -> Reply:
        path = request.target.partition("?")[0]
        if path == "/token":
            return self._refresh(request)
        with self._lock:
            self.received.append(request)
        token = (request.header("Authorization") or "").removeprefix("Bearer ")
        if self.access_tokens and token not in self.access_tokens:
            return Reply(401, b'{"message": "token expired"}')
        reply = self.replies.get(path.removeprefix("/api/"))
        return reply(request) if reply else Reply()

    def _refresh(self, request: Received) -> Reply:
        time.sleep(self.refresh_seconds)
        with self._lock:
            self.refreshes += 1
            form = parse_qs(request.body.decode())
            if self.is_refresh_refused or form["grant_type"] != ["refresh_token"]:
                return Reply(400, b'{"error": "invalid_grant"}')
            access_token = f"access-token-{self.refreshes}"
            self.access_tokens = {access_token}
        document: dict[str, Any] = {
            "access_token": access_token,
            "refresh_token": f"refresh-token-{self.refreshes}",
            "expires_in": 3600,
            **self.token_values,
        }
        return Reply(200, json.dumps(document).encode())


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    api: ProviderApi


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Received(self.command, self.path, list(self.headers.items()), body)
        reply = self.server.api.answer(request)
        if reply.raw:
            self.wfile.write(reply.raw)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        is_chunked = not isinstance(reply.body, bytes) and reply.length is None
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif reply.status not in {204, 304}:
            length = reply.length if reply.length is not None else len(reply.body)  # type: ignore[arg-type]
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self._send(reply, is_chunked=is_chunked)

    def _send(self, reply: Reply, *, is_chunked: bool) -> None:
        blocks = [reply.body] if isinstance(reply.body, bytes) else reply.body
        try:
            for block in blocks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if is_chunked else block)
                self.wfile.flush()
            if is_chunked:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
        if reply.length is not None:
            self.close_connection = True

    do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def oauth_definition(url: str, **api: Any) -> dict[str, Any]:
    """An element whose calls carry an access token, at the API of a ProviderApi."""
    return {
        "key": "relayed",
        "id": 900_010,
        "name": "Relayed",
        "hub": "crm",
        "description": "An element whose API is on this computer.",
        "authentication": [
            {
                "type": "oauth2",
                "grant_type": "authorization_code",
                "authorization_endpoint": f"{url}/authorize",
                "token_endpoint": f"{url}/token",
                "fields": [
                    {"key": "oauth.api.key", "label": "Client ID", "secret": True},
                    {"key": "oauth.api.secret", "label": "Secret", "secret": True},
                ],
                "probe": {"url": f"{url}/api/me", "scheme": "bearer"},
                "api": {"base_url": f"{url}/api", **api},
            }
        ],
    }


def key_definition(url: str) -> dict[str, Any]:
    """An element whose calls carry an API key."""
    return {
        "key": "relayed-key",
        "id": 900_011,
        "name": "Relayed with a key",
        "hub": "crm",
        "description": "An element whose API is on this computer.",
        "authentication": [
            {
                "type": "apiKey",
                "fields": [
                    {"key": "api.key", "label": "API key", "required": True, "secret": True},
                ],
                "api": {
                    "base_url": f"{url}/api",
                    "scheme": "headers",
                    "headers": {"X-Api-Key": "{api.key}", "Accept": "application/json"},
                },
            }
        ],
    }
