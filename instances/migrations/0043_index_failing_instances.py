from django.db import migrations, models
from django.db.models import Q

from instances.queries.online_index import AddIndexOnline

TABLE, NAME = "instances_instance", "instance_state_cause"


def create_statistics(apps, schema_editor):
    """Tell PostgreSQL that state and cause depend on each other.

    Without, it expects far too many connected instances with a cause, and reads all instances to find them.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"CREATE STATISTICS IF NOT EXISTS {NAME} (mcv) ON state, cause FROM {TABLE}"
        )
        schema_editor.execute(f"ANALYZE {TABLE} (state, cause)")


def drop_statistics(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP STATISTICS IF EXISTS {NAME}")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0042_may_read_credentials")]

    operations = [
        migrations.RunPython(create_statistics, drop_statistics, elidable=False),
        AddIndexOnline(
            model_name="instance",
            index=models.Index(
                fields=["-id"],
                condition=Q(state="connected") & ~Q(cause=""),
                name="instance_failing",
            ),
        ),
    ]
