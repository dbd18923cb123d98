"""Database connections of data calls: their many threads share a few (instances/queries/connection_slots.py)."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from instances.queries.connection_slots import (
    NoConnectionSlotError,
    connection_slot,
    is_sharing_connections,
)

type WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_BUSY = "The database is busy. Retry after 1 second."


def with_connection_slot(application: WsgiApplication) -> WsgiApplication:
    """Hold a slot until the application returns its response, in threads that share connections.

    The response is sent without: the client may read it slowly. Without a free slot, the answer is 503.
    """

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not is_sharing_connections():
            return application(environ, start_response)
        try:
            with connection_slot():
                return application(environ, start_response)
        except NoConnectionSlotError:
            return _refuse(start_response)

    return wrapped


def _refuse(start_response: Callable[..., Any]) -> Iterable[bytes]:
    # It imports models, which Django has to be set up for.
    from instances.api.middleware import new_request_id

    request_id = new_request_id()
    body = json.dumps({"requestId": request_id, "message": _BUSY}).encode()
    fields = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Elements-Request-Id", request_id),
        ("Cache-Control", "no-store"),
        ("Retry-After", "1"),
    ]
    start_response("503 Service Unavailable", fields)
    return [body]
