"""The answers that any operation can give besides its own, for the OpenAPI document."""

from typing import Any

from instances.wire import ErrorDocument

ERRORS: dict[Any, Any] = {
    frozenset({400, 401, 403, 404, 405, 406, 409, 413, 415, 429, 500, 502}): ErrorDocument
}
