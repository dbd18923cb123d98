"""Query parameters of lists (contract for hubs, 5)."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from instances.errors import InvalidCallError
from instances.hubs.ceql import Comparison, Condition, Junction, Value, parse

DEFAULT_PAGE_SIZE = 200
_ORDER = re.compile(r"(\S+)(?:\s+(asc|desc))?", re.IGNORECASE)
_MAX_NAMES = 500


@dataclass(frozen=True, slots=True)
class Order:
    name: str
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a caller asks of a list. page: counted from 1; ignored if there is a next_page token."""

    where: Condition | None = None
    fields: tuple[str, ...] = ()
    order_by: tuple[Order, ...] = ()
    page_size: int = DEFAULT_PAGE_SIZE
    page: int = 1
    next_page: str = ""
    is_total_asked: bool = False

    def narrowed(self, field: str, value: str) -> "ListQuery":
        """Return the same query of those records whose field has this value."""
        condition: Condition = Comparison(field, "=", Value(value, is_quoted=True))
        if self.where:
            condition = Junction("AND", (condition, self.where))
        return ListQuery(
            condition,
            self.fields,
            self.order_by,
            self.page_size,
            self.page,
            self.next_page,
            self.is_total_asked,
        )

    @property
    def digest(self) -> str:
        """What a page token is valid for, but for instance and resource."""
        order = [[one.name, one.is_descending] for one in self.order_by]
        parts = [str(self.where or ""), self.fields, order, self.page_size]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def list_query(parameters: Mapping[str, str], *, max_page_size: int) -> ListQuery:
    """Read the parameters of a list. Unknown ones are ignored, and an empty one counts as absent.

    Raises InvalidCallError.
    """
    where = parameters.get("where", "").strip()
    return ListQuery(
        where=parse(where) if where else None,
        fields=_names(parameters.get("fields", "")),
        order_by=tuple(map(_order, _names(parameters.get("orderBy", "")))),
        page_size=min(_number(parameters, "pageSize", DEFAULT_PAGE_SIZE), max_page_size),
        page=_number(parameters, "page", 1),
        next_page=parameters.get("nextPage", ""),
        is_total_asked=parameters.get("returnCount", "").lower() == "true",
    )


def field_names(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Read `fields`."""
    return _names(parameters.get("fields", ""))


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if len(names) > _MAX_NAMES:
        raise InvalidCallError(f"fields and orderBy take at most {_MAX_NAMES} names")
    return names


def _order(text: str) -> Order:
    found = _ORDER.fullmatch(text)
    if found is None:
        raise InvalidCallError(f"orderBy: “{text[:100]}” is not a field name with asc or desc")
    return Order(found[1], is_descending=(found[2] or "").lower() == "desc")


def _number(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name, "").strip()
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1:
        raise InvalidCallError(f"{name} must be a whole number from 1")
    return int(text)
