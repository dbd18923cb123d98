"""Insert many narrow rows that nothing refers to, without making a model instance of each.

A model instance and its INSERT cost several times as much as the row itself (docs/decisions/0008).
"""

from collections.abc import Sequence
from itertools import batched, chain
from typing import Any

from django.db import connections, models, router

# SQLite accepts 32,766 parameters by default.
_MAX_PARAMETERS = 30_000


def insert_rows(
    model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows of values, without signals; their primary keys are not read back.

    names: of the fields, all except those that the database fills in.
    """
    connection = connections[router.db_for_write(model)]
    fields = [model._meta.get_field(name) for name in names]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)  # type: ignore[union-attr]
    row = f"({', '.join(['%s'] * len(fields))})"
    for some in batched(rows, _MAX_PARAMETERS // len(fields)):
        prepared = [
            _prepared(field, values, connection)
            for field, values in zip(fields, zip(*some, strict=True), strict=True)
        ]
        statement = (
            f"INSERT INTO {quote(model._meta.db_table)} ({columns}) "  # noqa: S608  names of our own columns
            f"VALUES {', '.join([row] * len(some))}"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, list(chain.from_iterable(zip(*prepared, strict=True))))


def _prepared(field: Any, values: Sequence[Any], connection: Any) -> Sequence[Any]:
    """Return the values as the database takes them."""
    if all(value is values[0] for value in values):
        return [field.get_db_prep_save(values[0], connection)] * len(values)
    return [field.get_db_prep_save(value, connection) for value in values]
