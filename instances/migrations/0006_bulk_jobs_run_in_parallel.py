from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0005_authorization_configuration"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="bulkrow",
            name="bulk_row_outcome_known",
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="checked_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="dry run ended at"),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="concurrency",
            field=models.PositiveSmallIntegerField(default=32, verbose_name="at once"),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="ended_before",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="enqueued_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="given to workers at"),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="is_skipping_existing",
            field=models.BooleanField(default=False, verbose_name="skips what is there already"),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="name",
            field=models.CharField(blank=True, max_length=200, verbose_name="file"),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="resumed_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="resumed at"),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="started_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="started at"),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="state",
            field=models.CharField(
                choices=[
                    ("reading", "being read"),
                    ("draft", "draft"),
                    ("running", "running"),
                    ("paused", "paused"),
                    ("cancelled", "cancelled"),
                    ("finished", "finished"),
                ],
                default="reading",
                editable=False,
                max_length=10,
                verbose_name="state",
            ),
        ),
        migrations.AddField(
            model_name="bulkrow",
            name="attempts",
            field=models.PositiveSmallIntegerField(default=0, verbose_name="attempts"),
        ),
        migrations.AddField(
            model_name="bulkrow",
            name="due_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="due at"),
        ),
        migrations.AddField(
            model_name="bulkrow",
            name="element_key",
            field=models.CharField(blank=True, max_length=100, verbose_name="element"),
        ),
        migrations.AddField(
            model_name="bulkrow",
            name="holder",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="bulkrow",
            name="verdict",
            field=models.TextField(blank=True, verbose_name="dry run"),
        ),
        migrations.AlterField(
            model_name="bulkrow",
            name="outcome",
            field=models.CharField(
                choices=[
                    ("pending", "pending"),
                    ("running", "running"),
                    ("succeeded", "succeeded"),
                    ("failed", "failed"),
                    ("awaiting_authorization", "awaiting authorization"),
                    ("skipped", "skipped"),
                    ("cancelled", "cancelled"),
                ],
                default="pending",
                max_length=25,
                verbose_name="outcome",
            ),
        ),
        migrations.AddIndex(
            model_name="bulkrow",
            index=models.Index(fields=["job", "outcome"], name="bulk_row_outcome"),
        ),
        migrations.AddIndex(
            model_name="bulkrow",
            index=models.Index(fields=["job", "due_at", "number"], name="bulk_row_due"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["organization_user", "name"], name="instance_owner_name"),
        ),
    ]
