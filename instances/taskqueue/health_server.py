"""The scheduler's own health address, for the processes that serve no requests."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from django.db import DatabaseError, connection

from instances.taskqueue.health import background_health

READ_SECONDS = 5.0


def serve_health(host: str, port: int) -> None:
    """Answer `/healthz` and `/readyz` on this port until the process ends.

    `/readyz` is 200 if scheduler and worker work and no process refuses work for a wrong clock, else 503.

    Raises OSError if the port cannot be used, OverflowError if it is out of range.
    """
    server = ThreadingHTTPServer((host, port), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    timeout = READ_SECONDS

    def do_GET(self) -> None:
        match self.path:
            case "/healthz":
                self._answer(200, {"process": True})
            case "/readyz":
                parts = _parts()
                self._answer(200 if all(parts.values()) else 503, parts)
            case _:
                self.send_error(404)

    def _answer(self, status: int, parts: dict[str, bool]) -> None:
        body = json.dumps(parts).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Probes come every few seconds: they are not logged."""


def _parts() -> dict[str, bool]:
    try:
        return {"database": True} | background_health()
    except DatabaseError:
        return {"database": False}
    finally:
        connection.close()
