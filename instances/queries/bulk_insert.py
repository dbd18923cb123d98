"""Insert many rows, without what a model instance and its INSERT cost: several times as much as the row itself
(docs/decisions/0008).
"""

from collections.abc import Iterable, Sequence
from itertools import batched
from operator import attrgetter
from typing import Any

from django.db import connections, models, router

from instances.queries.row_values import row_values

# SQLite accepts 32,766 parameters by default.
_MAX_PARAMETERS = 30_000


def insert_rows(
    model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows of values, without signals; their primary keys are not read back.

    names: of the fields, all except those that the database fills in.
    """
    fields = [model._meta.get_field(name) for name in names]
    for some in batched(rows, _MAX_PARAMETERS // len(fields)):
        _insert(model, fields, list(zip(*some, strict=True)))


def insert_new[Row: models.Model](rows: Sequence[Row], *, unique: str = "") -> None:
    """Insert new model instances of one model, without signals.

    unique: the name of a field that tells the rows apart, by which their primary keys are read back; without it, they
    are not.
    """
    if not rows:
        return
    model = type(rows[0])
    fields = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    for some in batched(rows, _MAX_PARAMETERS // len(fields)):
        columns = [_values_of(field, some) for field in fields]
        pks = _insert(model, fields, columns, unique=unique)
        for row in some if unique else ():
            row.pk = pks[getattr(row, unique)]
            row._state.adding, row._state.db = False, router.db_for_write(model)


def _values_of(field: Any, rows: Iterable[models.Model]) -> list[Any]:
    if type(field).pre_save is models.Field.pre_save:
        return list(map(attrgetter(field.attname), rows))
    return [field.pre_save(row, True) for row in rows]


def _insert(
    model: type[models.Model],
    fields: Sequence[Any],
    columns: Sequence[Sequence[Any]],
    *,
    unique: str = "",
) -> dict[Any, Any]:
    """Insert rows by one statement; returns primary keys by the value of the unique field, if one is named."""
    connection = connections[router.db_for_write(model)]
    quote = connection.ops.quote_name
    values = row_values(fields, columns, connection)
    statement = (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(quote(field.column) for field in fields)}) "  # noqa: S608  names of our own columns
        f"SELECT {', '.join(values.expressions)} FROM {values.table}"
    )
    parameters = [*values.shared.values(), *values.parameters]
    with connection.cursor() as cursor:
        if not unique:
            cursor.execute(statement, parameters)
            return {}
        key: Any = model._meta.get_field(unique)
        primary_key: Any = model._meta.pk
        returned = f"{quote(primary_key.column)}, {quote(key.column)}"
        cursor.execute(f"{statement} RETURNING {returned}", parameters)
        return {key.to_python(value): pk for pk, value in cursor.fetchall()}
