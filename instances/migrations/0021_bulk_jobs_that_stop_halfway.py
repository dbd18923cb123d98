from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0020_allowed_hosts"),
    ]

    operations = [
        migrations.AddField(
            model_name="bulkjob",
            name="reading_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="bulkrow",
            name="is_drafted",
            field=models.BooleanField(default=False, editable=False),
        ),
    ]
