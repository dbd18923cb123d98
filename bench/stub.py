"""A token endpoint that takes its time: whatever it is asked for, it answers tokens after DELAY_SECONDS.

`python -m bench.stub` prints its port, and serves until it is ended.
"""

import itertools
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DELAY_SECONDS = 0.2


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    numbers = itertools.count()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(DELAY_SECONDS)
        number = next(self.numbers)
        tokens = {
            "access_token": f"access-token-{number}",
            "refresh_token": f"refresh-token-{number}",
            "token_type": "Bearer",
            "expires_in": 3600,
        }
        body = json.dumps(tokens).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet: standard error is for trouble."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    with _Server(("127.0.0.1", 0), _Handler) as server:
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()
