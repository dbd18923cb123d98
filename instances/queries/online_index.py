"""Add an index to a large table that others write to."""

from typing import Any

from django.db import migrations


class AddIndexOnline(migrations.AddIndex):
    """Create an index while other processes write to the table, where the database can.

    The migration must not be atomic: PostgreSQL creates no index concurrently inside a transaction. So it may be
    interrupted halfway, and can be repeated: an index that is there is kept, and one that PostgreSQL left invalid is
    made again.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        is_postgresql = schema_editor.connection.vendor == "postgresql"
        if is_postgresql:
            _drop_if_invalid(schema_editor, self.index.name)
        if self.index.name not in _constraints(schema_editor, model._meta.db_table):
            online = {"concurrently": True} if is_postgresql else {}
            schema_editor.add_index(model, self.index, **online)


def _drop_if_invalid(schema_editor: Any, name: str) -> None:
    quoted = schema_editor.quote_name(name)
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid", [quoted]
        )
        is_invalid = cursor.rowcount == 1
    if is_invalid:
        schema_editor.execute(f"DROP INDEX CONCURRENTLY {quoted}")


def _constraints(schema_editor: Any, table: str) -> dict[str, Any]:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        found: dict[str, Any] = connection.introspection.get_constraints(cursor, table)
    return found
