from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0046_organization_name_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="bulkrow",
            name="crashes",
            field=models.PositiveSmallIntegerField(default=0, editable=False),
        ),
    ]
