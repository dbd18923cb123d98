from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0043_index_failing_instances"),
    ]

    operations = [
        migrations.AddField(
            model_name="bulkjob",
            name="rests_until",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
