"""Prepared statements, whose SQL the ORM builds once.

USER = PreparedQuery(OrganizationUser.objects.filter(pk=Param("pk")))
USER.first(pk=7)

Building the SQL of a wide row takes several times as long as running it (docs/decisions/0008).
"""

import threading
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, Self

from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.expressions import RawSQL
from django.db.models.query import ModelIterable
from django.db.models.sql import InsertQuery, Query
from django.db.models.sql.compiler import SQLCompiler


class Param(models.Expression):
    """A placeholder in a queryset for a value that is supplied when it runs.

    position: the index, if the value is an item of a list.
    """

    def __init__(self, name: str, position: int | None = None) -> None:
        super().__init__()
        self.name = name
        self.position = position

    @classmethod
    def each(cls, name: str, count: int) -> list[Self]:
        """Return one placeholder for each of count values, for `__in`."""
        return [cls(name, position) for position in range(count)]

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", (self,)

    def value_in(self, values: Mapping[str, Any]) -> Any:
        value = values[self.name]
        return value if self.position is None else value[self.position]


class PreparedQuery[Row: models.Model]:
    """A queryset of whole rows with Params in its filters.

    Each thread builds one, and runs it on the connection that it has at the time.
    """

    def __init__(self, queryset: models.QuerySet[Row]) -> None:
        self._queryset = queryset
        self._of_thread = threading.local()

    def first(self, **values: Any) -> Row | None:
        """Return the first row for these values, one per Param name.

        None if there is none.
        """
        return next(iter(self.rows(**values)), None)

    def rows(self, **values: Any) -> list[Row]:
        """Return the rows for these values, one per Param name."""
        own = self._of_thread
        if not hasattr(own, "queryset"):
            own.queryset, own.compiled = self._build()
        own.compiled.values = values
        own.compiled.connection = connections[own.queryset.db]
        return list(ModelIterable(own.queryset))

    def _build(self) -> tuple[models.QuerySet[Row], "_BuiltCompiler"]:
        queryset = self._queryset.all()
        query: Any = queryset.query.chain(klass=_BuiltQuery)
        queryset.query = query
        query.compiled = _BuiltCompiler(query, connections[queryset.db], queryset.db)
        return queryset, query.compiled


def insert_row_with(row: models.Model, dependents: Sequence[models.Model]) -> None:
    """Insert a row and the rows that refer to it, in order and without signals.

    dependents: grouped by model. On PostgreSQL, a few are inserted by one statement, a transaction by itself, whose SQL
    is built once per process and shape. The primary keys of the dependents are not read back.
    """
    model = type(row)
    alias = router.db_for_write(model)
    connection = connections[alias]
    groups = [list(alike) for _, alike in groupby(dependents, key=type)]
    if connection.vendor == "postgresql" and len(dependents) <= _MAX_AT_ONCE:
        row.pk = _insert_at_once([[row], *groups], connection)
        row._state.adding, row._state.db = False, alias
        return
    with transaction.atomic(using=alias, savepoint=False):
        for alike in [[row], *groups]:
            type(alike[0])._default_manager.bulk_create(alike)


# Bounds the number of shapes, since clients choose some of it, such as the number of tags.
_MAX_AT_ONCE = 8


def _insert_at_once(groups: Sequence[Sequence[models.Model]], connection: Any) -> Any:
    shape = tuple((type(alike[0]), len(alike)) for alike in groups)
    fields, sql = _insert_of(shape, connection.alias)
    values = [
        field.get_db_prep_save(field.pre_save(row, True), connection)
        for alike, own in zip(groups, fields, strict=True)
        for row in alike
        for field in own
    ]
    with _cursor(connection) as cursor:
        cursor.execute(sql, values)
        [pk] = cursor.fetchone()
        return pk


@cache
def _insert_of(
    shape: tuple[tuple[type[models.Model], int], ...], alias: str
) -> tuple[list[list[models.Field[Any, Any]]], str]:
    """Return the fields with values of each group, and the INSERT for all."""
    (first, _), *others = shape
    own, sql = _insert_of_group(first, 1, alias, returning=[first._meta.pk])
    fields, statements = [own], [f"WITH first AS ({sql})"]
    for number, (model, count) in enumerate(others):
        own, sql = _insert_of_group(model, count, alias, refers_to=first)
        fields.append(own)
        statements.append(f"others_{number} AS ({sql})")
    return fields, f"{', '.join(statements)} SELECT * FROM first"  # noqa: S608  built by the ORM


def _insert_of_group(
    model: type[models.Model],
    count: int,
    alias: str,
    *,
    refers_to: type[models.Model] | None = None,
    returning: Sequence[Any] = (),
) -> tuple[list[models.Field[Any, Any]], str]:
    fields = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    row = model()
    for field in fields:
        if refers_to and field.related_model is refers_to:
            setattr(row, field.attname, RawSQL("(SELECT * FROM first)", []))
    query = InsertQuery(model)
    query.insert_values(fields, [row] * count)
    compiler = query.get_compiler(alias)
    compiler.returning_fields = returning
    [(sql, _)] = compiler.as_sql()
    given = [field for field in fields if refers_to is None or field.related_model is not refers_to]
    return given, sql


def _cursor(connection: BaseDatabaseWrapper) -> CursorWrapper:
    """Return a cursor whose statements PostgreSQL plans once per connection.

    One plan fits all values, since the statements find rows by unique values. The ORM's own cursors put the values
    into the SQL.
    """
    cursor = connection.cursor()
    if connection.vendor == "postgresql":
        # Imported here, since the driver may be missing without PostgreSQL.
        from django.db.backends.postgresql.base import ServerBindingCursor

        cursor.cursor = ServerBindingCursor(connection.connection)  # type: ignore[call-arg]
    return cursor


class _BuiltQuery(Query):
    compiled: "_BuiltCompiler"

    def get_compiler(self, *_: Any, **__: Any) -> "_BuiltCompiler":
        return self.compiled


class _BuiltCompiler(SQLCompiler):
    values: Mapping[str, Any]
    _sql: tuple[str, tuple[Any, ...]] | None = None
    _converters: Mapping[int, Any] | None = None

    def as_sql(self, *args: Any, **kwargs: Any) -> tuple[str, tuple[Any, ...]]:
        if self._sql is None:
            self._sql = super().as_sql(*args, **kwargs)
        sql, parameters = self._sql
        return sql, tuple(
            parameter.value_in(self.values) if isinstance(parameter, Param) else parameter
            for parameter in parameters
        )

    def execute_sql(self, *_: Any, **__: Any) -> Any:
        with _cursor(self.connection) as cursor:
            cursor.execute(*self.as_sql())
            return [cursor.fetchall()]

    def get_converters(self, expressions: Any) -> Any:
        if self._converters is None:
            self._converters = super().get_converters(expressions)
        return self._converters
