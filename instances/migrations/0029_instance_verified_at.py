from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0028_reword_reading_label")]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="verified_at",
            field=models.DateTimeField(
                blank=True, editable=False, null=True, verbose_name="verified at"
            ),
        )
    ]
