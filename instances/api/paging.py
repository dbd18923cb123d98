"""Lists and their pages (contract 4).

Page tokens name a row, so that inserts neither repeat nor skip one.
"""

import base64
import binascii
from collections.abc import Iterable

from django.core.exceptions import BadRequest
from django.db.models import Model, QuerySet
from django.http import HttpResponse

from instances.api.errors import NotFoundError
from instances.api.parameters import Page
from instances.queries.cursor_pages import Order, page_of

MAX_PAGE_SIZE = 200


def complete_list[T](
    response: HttpResponse, items: Iterable[T], *, things: str, is_empty_found: bool = False
) -> list[T]:
    """Return all items, and set the response's headers.

    If there is none: 404 `No <things> found`, or 200 `[]` if is_empty_found (contract 1).
    """
    found = list(items)
    if not found and not is_empty_found:
        raise NotFoundError(f"No {things} found")
    response["Elements-Returned-Count"] = str(len(found))
    return found


def page_of_rows[M: Model](
    response: HttpResponse,
    rows: QuerySet[M],
    page: Page,
    *,
    things: str,
    is_empty_found: bool = False,
    is_descending: bool = False,
) -> list[M]:
    """Return one page of rows in order of id, and set the response's headers.

    Raises BadRequest for an invalid page token.
    """
    found = page_of(
        rows,
        f"after-{_read_token(page.next_page)}" if page.next_page else "",
        size=min(page.page_size or MAX_PAGE_SIZE, MAX_PAGE_SIZE),
        order=Order({"pk": int}, is_descending=is_descending),
    )
    if found.next:
        response["Elements-Next-Page-Token"] = _write_token(found.rows[-1].pk)
    elif not page.next_page:
        response["Elements-Total-Count"] = str(len(found.rows))
    return complete_list(
        response,
        found.rows,
        things=things,
        is_empty_found=is_empty_found or bool(page.next_page),
    )


def _write_token(pk: int) -> str:
    return base64.urlsafe_b64encode(f"after:{pk}".encode()).decode().rstrip("=")


def _read_token(token: str) -> int:
    try:
        padded = token + "=" * (-len(token) % 4)
        word, _, pk = base64.urlsafe_b64decode(padded).decode("ascii").partition(":")
        if word != "after" or not pk.isdigit() or len(pk) > 18:
            raise ValueError(token)
    except (ValueError, binascii.Error):
        raise BadRequest(
            "nextPage is not a valid page token; start again with the first page"
        ) from None
    return int(pk)
