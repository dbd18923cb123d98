from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0007_state_of_earlier_bulk_jobs")]

    operations = [
        migrations.AddConstraint(
            model_name="bulkjob",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        ["reading", "draft", "running", "paused", "cancelled", "finished"],
                    )
                ),
                name="bulk_job_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="bulkrow",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "outcome__in",
                        [
                            "pending",
                            "running",
                            "succeeded",
                            "failed",
                            "awaiting_authorization",
                            "skipped",
                            "cancelled",
                        ],
                    )
                ),
                name="bulk_row_outcome_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="bulkrow",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("due_at__isnull", False), ("outcome__in", ["pending", "running"])),
                    models.Q(
                        models.Q(("outcome__in", ["pending", "running"]), _negated=True),
                        ("due_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="bulk_row_due_until_it_ends",
            ),
        ),
    ]
