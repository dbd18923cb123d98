"""Request bodies in chunks (RFC 9112 7.1), whose length the client does not say and Django does not ask for."""

import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from config.connections import WsgiApplication

MAX_BYTES = 100 * 1024 * 1024
_MEMORY_BYTES = 1_048_576
_READ_BYTES = 65_536


def with_content_length(application: WsgiApplication) -> WsgiApplication:
    """Read a body that comes in chunks, and give the application its length.

    A longer one than MAX_BYTES is refused with 413.
    """

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        is_chunked = environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower() == "chunked"
        if not (is_chunked and environ.get("wsgi.input_terminated")):
            return application(environ, start_response)
        with tempfile.SpooledTemporaryFile(_MEMORY_BYTES) as body:
            while chunk := environ["wsgi.input"].read(_READ_BYTES):
                body.write(chunk)
                if body.tell() > MAX_BYTES:
                    start_response("413 Content Too Large", [("Content-Type", "text/plain")])
                    return [f"The body is larger than {MAX_BYTES} bytes.\n".encode()]
            environ["CONTENT_LENGTH"] = str(body.tell())
            body.seek(0)
            environ["wsgi.input"] = body
            return application(environ, start_response)

    return wrapped
