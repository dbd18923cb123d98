from django.db import migrations, models

# The index of each renamed column: its table, its name before and after, and what it holds now.
INDEXES = (
    ("instances_instance", "instance_work_due", "instance_next_action", '"next_action_at"'),
    (
        "instances_interaction",
        "interaction_step",
        "interaction_operation",
        '"operation", "id" DESC',
    ),
)


def rename_indexes(apps, schema_editor):
    """PostgreSQL renames an index in place; SQLite, which cannot, builds it again."""
    for table, old, new, columns in INDEXES:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"ALTER INDEX {old} RENAME TO {new}")
        else:
            schema_editor.execute(f"DROP INDEX {old}")
            schema_editor.execute(f"CREATE INDEX {new} ON {table} ({columns})")


class Migration(migrations.Migration):
    dependencies = [("instances", "0023_process_beat_clock_skew")]

    operations = [
        migrations.RenameField("instance", "work_due_at", "next_action_at"),
        migrations.RenameField("instance", "work_failures", "consecutive_failures"),
        migrations.RenameField("interaction", "step", "operation"),
        # RenameField leaves Django's own picture of the indexes behind, so it is corrected apart from the tables.
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(rename_indexes, elidable=False)],
            state_operations=[
                migrations.RemoveIndex("instance", "instance_work_due"),
                migrations.AddIndex(
                    "instance",
                    models.Index(fields=["next_action_at"], name="instance_next_action"),
                ),
                migrations.RemoveIndex("interaction", "interaction_step"),
                migrations.AddIndex(
                    "interaction",
                    models.Index(fields=["operation", "-id"], name="interaction_operation"),
                ),
            ],
        ),
        migrations.AlterField(
            "interaction", "operation", models.CharField(max_length=60, verbose_name="operation")
        ),
    ]
