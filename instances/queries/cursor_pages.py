"""Lists that are read from a row on, and never counted: the last page costs what the first does.

A page's position names the row that it comes after, or before, so a row that is added meanwhile moves nothing. It has
that row's own values in it, and so holds when the row changes its place, or is gone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Field, Func, Lookup, Model, Q, QuerySet, Value
from django.db.models.lookups import GreaterThan, LessThan

# How a value stands in a position. A database takes no number beyond 64 bits, and no NUL.
_PATTERNS = {int: r"\d{1,18}", str: r"[^\0]*"}
EVERY = (Q(),)


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that a list is in order of, and what kind of value each has; no two rows have the same.

    All go up, or all go down: then one comparison says what comes after a row, and an index answers it.
    """

    columns: Mapping[str, type[int | str]]
    is_descending: bool = False

    def position(self, way: str, row: Model) -> str:
        return "-".join([way, *(str(getattr(row, column)) for column in self.columns)])

    def read(self, position: str) -> tuple[str, list[Any]] | None:
        """The way and the row's values; None where it is no position of this order."""
        kinds = self.columns.values()
        values = "-".join(f"({_PATTERNS[kind]})" for kind in kinds)
        match = re.fullmatch(f"(after|before)-{values}", position)
        if match is None:
            return None
        way, *texts = match.groups()
        return way, [kind(text) for kind, text in zip(kinds, texts, strict=True)]

    def beyond(self, values: Sequence[Any], *, is_upwards: bool) -> Lookup[bool]:
        """The condition for what comes after these values, or before them."""
        row = Func(*map(F, self.columns), function="", output_field=Field())
        bound = Func(*map(Value, values), function="", output_field=Field())
        return (GreaterThan if is_upwards else LessThan)(row, bound)


NEWEST_FIRST = Order({"pk": int}, is_descending=True)


@dataclass(frozen=True, slots=True)
class Page[M: Model]:
    """previous and next: the positions of the pages beside it; None where there is none."""

    rows: list[M]
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
    """The rows at this position that meet one of the conditions; the first ones where it is no position.

    Each condition is a query of its own: each has an index, which one query that asks for any of them would not use.
    """
    way, values = order.read(position) or ("", [])
    is_backwards = way == "before"
    is_upwards = order.is_descending == is_backwards
    columns = [column if is_upwards else f"-{column}" for column in order.columns]
    bounded = rows.filter(order.beyond(values, is_upwards=is_upwards)) if way else rows
    found = _nearest(bounded, columns, size + 1, any_of)
    has_more = len(found) > size
    if is_backwards and not has_more:
        return page_of(rows, "", size=size, order=order, any_of=any_of)
    shown = found[:size][::-1] if is_backwards else found[:size]
    previous = (order.position("before", shown[0]) if shown else "first") if way else None
    following = order.position("after", shown[-1]) if has_more or is_backwards else None
    return Page(shown, previous, following)


def _nearest[M: Model](
    rows: QuerySet[M], columns: Sequence[str], count: int, any_of: Sequence[Q]
) -> list[M]:
    if len(any_of) == 1:
        return list(rows.filter(any_of[0]).order_by(*columns)[:count])
    keys: set[Any] = set()
    for condition in any_of:
        keys.update(rows.filter(condition).order_by(*columns).values_list("pk", flat=True)[:count])
    return list(rows.filter(pk__in=keys).order_by(*columns)[:count])
