"""Many rows changed by one statement, each to values of its own, and only where it is still as expected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, models


@dataclass(frozen=True, slots=True)
class RowUpdate:
    """One row of a table: what it is expected to hold, and what it is to hold then. Columns are named as attributes."""

    pk: int
    expected: Mapping[str, Any]
    columns: Mapping[str, Any] = field(repr=False)


def update_rows(model: type[models.Model], updates: Sequence[RowUpdate]) -> set[int]:
    """Compare and set, row by row, in one statement; the primary keys of the rows that were changed.

    All updates name the same columns, in the same order.
    """
    if not updates:
        return set()
    fields = _fields(model, "pk", *updates[0].expected, *updates[0].columns)
    names = [connection.ops.quote_name(str(one.column)) for one in fields]
    table = connection.ops.quote_name(model._meta.db_table)
    # Both databases name the columns of VALUES column1, column2 and so on.
    new = [f"new.column{number}" for number in range(1, len(fields) + 1)]
    compared = 1 + len(updates[0].expected)
    compare = [f"{table}.{name} = {value}" for name, value in zip(names, new, strict=True)]
    assign = [f"{name} = {value}" for name, value in zip(names, new, strict=True)]
    row = f"({', '.join(_placeholder(one) for one in fields)})"
    statement = (
        f"UPDATE {table} SET {', '.join(assign[compared:])} "  # noqa: S608  names of our own columns
        f"FROM (VALUES {', '.join([row] * len(updates))}) AS new "
        f"WHERE {' AND '.join(compare[:compared])} RETURNING {names[0]}"
    )
    parameters = [
        one.get_db_prep_save(value, connection)
        for update in updates
        for one, value in zip(fields, _values(update), strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return {pk for (pk,) in cursor.fetchall()}


def _fields(model: type[models.Model], *names: str) -> list[models.Field[Any, Any]]:
    columns = {name: one for one in model._meta.concrete_fields for name in (one.name, one.attname)}
    columns["pk"] = model._meta.pk
    return [columns[name] for name in names]


def _values(update: RowUpdate) -> list[Any]:
    return [update.pk, *update.expected.values(), *update.columns.values()]


def _placeholder(column: models.Field[Any, Any]) -> str:
    # PostgreSQL takes a value in VALUES for text; SQLite has no types to speak of.
    if connection.vendor == "postgresql":
        return f"%s::{column.cast_db_type(connection)}"
    return "%s"
