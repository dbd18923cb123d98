from django.db import migrations, models
from django.db.models import Q


class AddIndexOnline(migrations.AddIndex):
    """Create an index while other processes write to the table, where the database can."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.model_name)
        online = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
        schema_editor.add_index(model, self.index, **online)


class Migration(migrations.Migration):
    # PostgreSQL creates no index concurrently inside a transaction.
    atomic = False

    dependencies = [("instances", "0030_fill_verified_at")]

    operations = [
        AddIndexOnline(
            model_name="instance",
            index=models.Index(
                fields=["-id"],
                condition=Q(state="connected", is_disabled=False, verified_at=None),
                name="instance_unverified",
            ),
        )
    ]
