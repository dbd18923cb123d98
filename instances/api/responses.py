"""Responses of operations for the OpenAPI document: documents and errors."""

from typing import Any

from instances.api.documents.base import RefusalDocument

# Any call: a wrong parameter or header, too many calls, http where https is required.
_EVERY_CALL = {400, 401, 403, 406, 429}
# Calls with a body: too large, or not JSON.
BODY = (413, 415)
# Calls that reach a platform or a provider, or need an instance in a certain state.
PLATFORM = (409, 502)


def answers(document: Any, *statuses: int) -> dict[Any, Any]:
    """Declare the responses of an operation: 200 with the document, and errors (3).

    None: an empty body.
    """
    return {200: document} | dict.fromkeys(sorted({*_EVERY_CALL, *statuses}), RefusalDocument)
