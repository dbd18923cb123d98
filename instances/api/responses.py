"""Responses of each operation for the OpenAPI document: its document, and the errors that it can answer."""

from typing import Any

from instances.api.schemas import RefusalDocument

# Any call: a wrong parameter or header, too many calls, http where https is required.
_EVERY_CALL = {400, 401, 403, 406, 429}
# Calls with a body: too large, or not JSON.
BODY = (413, 415)
# Calls that reach a platform or a provider, or need an instance in a certain state.
PLATFORM = (409, 502)


def answers(document: Any, *statuses: int) -> dict[Any, Any]:
    """Declare 200 with the document (None: an empty body), and the contract's error document (3) for the others."""
    return {200: document} | dict.fromkeys(sorted({*_EVERY_CALL, *statuses}), RefusalDocument)
