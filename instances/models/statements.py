"""Statements of every API call: the ORM builds their SQL once, and later calls only put values into it.

USER = Statement(OrganizationUser.objects.filter(pk=Argument("pk")))
USER.first(pk=7)

Building the SQL of a wide row costs several times what running it does (docs/decisions/0008).
"""

import threading
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Self

from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.query import ModelIterable
from django.db.models.sql import InsertQuery, Query
from django.db.models.sql.compiler import SQLCompiler


class Argument(models.Expression):
    """Stands in a queryset for a value that is known only when it runs, and is passed on to the driver as it is.

    position: which one of a list of values.
    """

    def __init__(self, name: str, position: int | None = None) -> None:
        super().__init__()
        self.name = name
        self.position = position

    @classmethod
    def each(cls, name: str, count: int) -> list[Self]:
        """For `__in`: one for each of a list of so many values."""
        return [cls(name, position) for position in range(count)]

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", (self,)

    def value_in(self, values: Mapping[str, Any]) -> Any:
        value = values[self.name]
        return value if self.position is None else value[self.position]


class Statement[Row: models.Model]:
    """A queryset of whole rows with Arguments in its filters. Each thread builds its own, for its connection."""

    def __init__(self, queryset: models.QuerySet[Row]) -> None:
        self._queryset = queryset
        self._of_thread = threading.local()

    def first(self, **values: Any) -> Row | None:
        """The first row for these values, one for each name."""
        return next(iter(self.rows(**values)), None)

    def rows(self, **values: Any) -> list[Row]:
        """The rows for these values, one for each name."""
        own = self._of_thread
        if not hasattr(own, "queryset"):
            own.queryset, own.compiled = self._build()
        own.compiled.values = values
        return list(ModelIterable(own.queryset))

    def _build(self) -> tuple[models.QuerySet[Row], "_BuiltCompiler"]:
        queryset = self._queryset.all()
        query: Any = queryset.query.chain(klass=_BuiltQuery)
        queryset.query = query
        query.compiled = _BuiltCompiler(query, connections[queryset.db], queryset.db)
        return queryset, query.compiled


def insert_rows(rows: Sequence[models.Model]) -> None:
    """Insert new rows of one model, as bulk_create() does; a single row's SQL is built once a process."""
    if len(rows) != 1:
        if rows:
            type(rows[0])._default_manager.bulk_create(rows)
        return
    [row] = rows
    alias = router.db_for_write(type(row))
    connection = connections[alias]
    fields, sql = _insert_of(type(row), alias)
    values = [field.get_db_prep_save(field.pre_save(row, True), connection) for field in fields]
    with _cursor(connection) as cursor:
        cursor.execute(sql, values)
        [row.pk] = cursor.fetchone()
    row._state.adding, row._state.db = False, alias


def _cursor(connection: BaseDatabaseWrapper) -> CursorWrapper:
    """A cursor whose statements PostgreSQL plans once a connection, not every time: they find rows by unique values,
    so that one plan is the best for all of them. The ORM's own cursors put the values into the SQL.
    """
    cursor = connection.cursor()
    if connection.vendor == "postgresql":
        # Not at the top: without PostgreSQL there is no driver for it.
        from django.db.backends.postgresql.base import ServerBindingCursor

        cursor.cursor = ServerBindingCursor(connection.connection)  # type: ignore[call-arg]
    return cursor


@cache
def _insert_of(model: type[models.Model], alias: str) -> tuple[list[models.Field[Any, Any]], str]:
    fields = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    query = InsertQuery(model)
    query.insert_values(fields, [model()])
    compiler = query.get_compiler(alias)
    compiler.returning_fields = [model._meta.pk]
    [(sql, _)] = compiler.as_sql()
    return fields, sql


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
            one.value_in(self.values) if isinstance(one, Argument) else one for one in parameters
        )

    def execute_sql(self, *_: Any, **__: Any) -> Any:
        with _cursor(self.connection) as cursor:
            cursor.execute(*self.as_sql())
            return [cursor.fetchall()]

    def get_converters(self, expressions: Any) -> Any:
        if self._converters is None:
            self._converters = super().get_converters(expressions)
        return self._converters
