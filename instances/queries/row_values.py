"""Values of many rows for one statement, in which a value that all rows share stands once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


@dataclass(frozen=True, slots=True)
class RowValues:
    """The values of rows as the database takes them, by the number of their field.

    shared: of all rows. own: one for each row.
    """

    fields: Sequence[models.Field[Any, Any]]
    shared: dict[int, Any] = field(repr=False)
    own: dict[int, Sequence[Any]] = field(repr=False)
    connection: BaseDatabaseWrapper = field(repr=False)

    @property
    def table(self) -> str:
        """The values of each row as a table, `new`."""
        row = f"({', '.join(self.placeholder(number) for number in self.own)})"
        count = len(next(iter(self.own.values())))
        return f"(VALUES {', '.join([row] * count)}) AS new"

    @property
    def parameters(self) -> list[Any]:
        """The parameters of the table."""
        return list(chain.from_iterable(zip(*self.own.values(), strict=True)))

    @property
    def expressions(self) -> list[str]:
        """What stands for each field: a column of the table, or a placeholder for the shared value."""
        # Both databases name the columns of VALUES column1, column2, and so on.
        places = {number: f"new.column{place}" for place, number in enumerate(self.own, 1)}
        return [
            places.get(number) or self.placeholder(number) for number in range(len(self.fields))
        ]

    def placeholder(self, number: int) -> str:
        # PostgreSQL treats parameters in VALUES as text; SQLite converts them by itself.
        if self.connection.vendor == "postgresql":
            return f"%s::{self.fields[number].cast_db_type(self.connection)}"
        return "%s"


def row_values(
    fields: Sequence[models.Field[Any, Any]],
    columns: Sequence[Sequence[Any]],
    connection: BaseDatabaseWrapper,
) -> RowValues:
    """Convert values. The first field has a value of its own in each row.

    columns: for each field, the value of each row.
    """
    shared: dict[int, Any] = {}
    own: dict[int, Sequence[Any]] = {}
    for number, (one, values) in enumerate(zip(fields, columns, strict=True)):
        if number and _are_same(values):
            shared[number] = one.get_db_prep_save(values[0], connection)
        else:
            own[number] = [one.get_db_prep_save(value, connection) for value in values]
    return RowValues(fields, shared, own, connection)


def _are_same(values: Sequence[Any]) -> bool:
    first = values[0]
    if first:
        return all(value is first for value in values)
    # All empty, each by a default of its own.
    return all(value is first or value == first for value in values)
