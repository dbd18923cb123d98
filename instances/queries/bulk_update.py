"""Compare and set many rows with one statement, each to its own values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from django.db import connection, models


@dataclass(frozen=True, slots=True)
class RowUpdate:
    """An update of one row: the expected and the new values by attribute name."""

    pk: int
    expected: Mapping[str, Any]
    columns: Mapping[str, Any] = field(repr=False)


def update_rows(model: type[models.Model], updates: Sequence[RowUpdate]) -> set[int]:
    """Compare and set each row in one statement.

    Returns the primary keys of the rows that were changed.

    All updates must name the same columns in the same order.
    """
    if not updates:
        return set()
    fields = _fields(model, "pk", *updates[0].expected, *updates[0].columns)
    columns = [
        [field.get_db_prep_save(value, connection) for value in values]
        for field, values in zip(fields, zip(*map(_values, updates), strict=True), strict=True)
    ]
    own = [0] + [
        number for number, values in enumerate(columns) if number and not _are_same(values)
    ]
    # Both databases name the columns of VALUES column1, column2, and so on.
    new = {number: f"new.column{place}" for place, number in enumerate(own, 1)}
    names = [connection.ops.quote_name(str(field.column)) for field in fields]
    equal = [f"{name} = {new.get(number, '%s')}" for number, name in enumerate(names)]
    table = connection.ops.quote_name(model._meta.db_table)
    compared = 1 + len(updates[0].expected)
    row = f"({', '.join(_placeholder(fields[number]) for number in own)})"
    statement = (
        f"UPDATE {table} SET {', '.join(equal[compared:])} "  # noqa: S608  names of our own columns
        f"FROM (VALUES {', '.join([row] * len(updates))}) AS new "
        f"WHERE {' AND '.join(f'{table}.{column}' for column in equal[:compared])} RETURNING {names[0]}"
    )
    shared = [(number, columns[number][0]) for number in range(len(fields)) if number not in new]
    parameters = [
        *(value for number, value in shared if number >= compared),
        *chain.from_iterable(zip(*(columns[number] for number in own), strict=True)),
        *(value for number, value in shared if number < compared),
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return {pk for (pk,) in cursor.fetchall()}


def _fields(model: type[models.Model], *names: str) -> list[models.Field[Any, Any]]:
    columns = {
        name: field for field in model._meta.concrete_fields for name in (field.name, field.attname)
    }
    columns["pk"] = model._meta.pk
    return [columns[name] for name in names]


def _values(update: RowUpdate) -> list[Any]:
    return [update.pk, *update.expected.values(), *update.columns.values()]


def _are_same(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values)


def _placeholder(column: models.Field[Any, Any]) -> str:
    # PostgreSQL treats parameters in VALUES as text; SQLite converts them by itself.
    if connection.vendor == "postgresql":
        return f"%s::{column.cast_db_type(connection)}"
    return "%s"
