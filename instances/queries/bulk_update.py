"""Compare and set many rows with one statement, each to its own values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, models, router

from instances.queries.row_values import row_values


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
    connection = connections[router.db_for_write(model)]
    fields = _fields(model, "pk", *updates[0].expected, *updates[0].columns)
    values = row_values(fields, list(zip(*map(_values, updates), strict=True)), connection)
    names = [connection.ops.quote_name(str(field.column)) for field in fields]
    equal = [
        f"{name} = {expression}" for name, expression in zip(names, values.expressions, strict=True)
    ]
    table = connection.ops.quote_name(model._meta.db_table)
    compared = 1 + len(updates[0].expected)
    statement = (
        f"UPDATE {table} SET {', '.join(equal[compared:])} "  # noqa: S608  names of our own columns
        f"FROM {values.table} "
        f"WHERE {' AND '.join(f'{table}.{column}' for column in equal[:compared])} RETURNING {names[0]}"
    )
    parameters = [
        *(value for number, value in values.shared.items() if number >= compared),
        *values.parameters,
        *(value for number, value in values.shared.items() if number < compared),
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
