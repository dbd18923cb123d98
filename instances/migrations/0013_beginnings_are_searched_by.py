from django.db import migrations

# What `istartswith` asks PostgreSQL for. SQLite's LIKE has no use for an index of this kind.
INDEXES = {
    "instance_name_begins": ("instances_instance", "name"),
    "organization_user_email_begins": ("instances_organizationuser", "email"),
    "interaction_subject_begins": ("instances_interaction", "subject"),
}


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name, (table, column) in INDEXES.items():
            schema_editor.execute(
                f"CREATE INDEX {name} ON {table} (UPPER({column}::text) text_pattern_ops)"
            )


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in INDEXES:
            schema_editor.execute(f"DROP INDEX {name}")


class Migration(migrations.Migration):
    dependencies = [("instances", "0012_which_have_a_refresh_token")]

    operations = [migrations.RunPython(create, drop)]
