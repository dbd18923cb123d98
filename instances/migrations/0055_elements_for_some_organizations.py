from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0054_instances_of_oauth_apps"),
    ]

    operations = [
        migrations.AddField(
            model_name="element",
            name="is_for_all",
            field=models.BooleanField(
                db_default=True, default=True, verbose_name="every organization may use it"
            ),
        ),
        migrations.AddField(
            model_name="element",
            name="organizations",
            field=models.ManyToManyField(
                blank=True,
                related_name="offered_elements",
                to="instances.organization",
                verbose_name="organizations that may use it",
            ),
        ),
    ]
