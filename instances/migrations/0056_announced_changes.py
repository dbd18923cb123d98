from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0055_elements_for_some_organizations"),
    ]

    operations = [
        migrations.AddField(
            model_name="element",
            name="last_sunset_on",
            field=models.DateField(
                blank=True, editable=False, null=True, verbose_name="last announced change"
            ),
        ),
    ]
