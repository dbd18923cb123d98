"""Cursor pages: read from a row on and never counted.

A page's position holds the values of the row before or after it. So rows that are added meanwhile shift nothing, and
the position stays valid if that row moves or is deleted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Field, Func, Lookup, Model, Q, QuerySet, Value
from django.db.models.lookups import GreaterThan, LessThan

# How values are written in a position. Databases accept neither numbers beyond 64 bits nor NUL.
_PATTERNS = {int: r"\d{1,18}", str: r"[^\0]*"}
EVERY = (Q(),)


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that a list is sorted by, with their types.

    Together they must be unique.

    All ascend or all descend, so that one comparison, answered by an index, finds what follows a row.
    """

    columns: Mapping[str, type[int | str]]
    is_descending: bool = False

    def position(self, direction: str, row: Model) -> str:
        """Return the position "after" or "before" a row."""
        return "-".join([direction, *(str(getattr(row, column)) for column in self.columns)])

    def read(self, position: str) -> tuple[str, list[Any]] | None:
        """Parse a position into its direction and values.

        None if it is not one of this order.
        """
        kinds = self.columns.values()
        values = "-".join(f"({_PATTERNS[kind]})" for kind in kinds)
        match = re.fullmatch(f"(after|before)-{values}", position)
        if match is None:
            return None
        direction, *texts = match.groups()
        return direction, [kind(text) for kind, text in zip(kinds, texts, strict=True)]

    def beyond(self, values: Sequence[Any], *, is_upwards: bool) -> Lookup[bool]:
        """Return the condition for rows after these values, or before them."""
        row = Func(*map(F, self.columns), function="", output_field=Field())
        bound = Func(*map(Value, values), function="", output_field=Field())
        return (GreaterThan if is_upwards else LessThan)(row, bound)


NEWEST_FIRST = Order({"pk": int}, is_descending=True)


@dataclass(frozen=True, slots=True)
class Page[M: Model]:
    """One page of a list."""

    rows: list[M]
    # The positions of the neighbouring pages; None if there is none.
    previous: str | None
    next: str | None


def page_of[M: Model](
    rows: QuerySet[M],
    position: str,
    *,
    size: int,
    order: Order = NEWEST_FIRST,
    any_of: Sequence[Q] = EVERY,
) -> Page[M]:
    """Return the rows at a position that meet any of the conditions.

    The first page if the position is invalid.

    Each condition is a separate query that uses its own index; a single query with OR would use none.
    """
    direction, values = order.read(position) or ("", [])
    is_backwards = direction == "before"
    is_upwards = order.is_descending == is_backwards
    columns = [column if is_upwards else f"-{column}" for column in order.columns]
    bounded = rows.filter(order.beyond(values, is_upwards=is_upwards)) if direction else rows
    nearest = _nearest(bounded, columns, size + 1, any_of)
    has_more = len(nearest) > size
    if is_backwards and not has_more:
        return page_of(rows, "", size=size, order=order, any_of=any_of)
    page = nearest[:size][::-1] if is_backwards else nearest[:size]
    previous = (order.position("before", page[0]) if page else "first") if direction else None
    following = order.position("after", page[-1]) if has_more or is_backwards else None
    return Page(page, previous, following)


def _nearest[M: Model](
    rows: QuerySet[M], columns: Sequence[str], count: int, any_of: Sequence[Q]
) -> list[M]:
    if len(any_of) == 1:
        return list(rows.filter(any_of[0]).order_by(*columns)[:count])
    keys: set[Any] = set()
    for condition in any_of:
        keys.update(rows.filter(condition).order_by(*columns).values_list("pk", flat=True)[:count])
    return list(rows.filter(pk__in=keys).order_by(*columns)[:count])
