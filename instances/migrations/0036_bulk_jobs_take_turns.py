from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0035_idempotency_keys_have_holders"),
    ]

    operations = [
        migrations.AddField(
            model_name="bulkjob",
            name="served_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
