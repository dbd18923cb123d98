"""The answers of each operation, for the OpenAPI document: its own, those of every call, and those it adds."""

from typing import Any

from instances.api.schemas import RefusalDocument

# Whatever is called: a wrong parameter or header, too many calls, plain http where https is due.
_EVERY_CALL = {400, 401, 403, 406, 429}
# Of calls with a body: too large, or not JSON.
BODY = (413, 415)
# Of calls that reach a platform or a provider, or need an instance in a certain state.
PLATFORM = (409, 502)


def answers(document: Any, *statuses: int) -> dict[Any, Any]:
    """200 with the document, None being an empty body, and errors in the contract's form (3)."""
    return {200: document} | dict.fromkeys(sorted({*_EVERY_CALL, *statuses}), RefusalDocument)
