"""Add an index to a large table that others write to."""

from typing import Any

from django.db import migrations


class AddIndexOnline(migrations.AddIndex):
    """Create an index while other processes write to the table, where the database can.

    The migration must not be atomic: PostgreSQL creates no index concurrently inside a transaction.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        online = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
        schema_editor.add_index(model, self.index, **online)
