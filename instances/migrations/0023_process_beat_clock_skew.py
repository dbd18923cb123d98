from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0022_seal_secret_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="processbeat",
            name="clock_skew_seconds",
            field=models.FloatField(default=0.0, db_default=0.0),
        ),
        migrations.AlterField(
            model_name="processbeat",
            name="kind",
            field=models.CharField(
                choices=[
                    ("scheduler", "scheduler"),
                    ("worker", "worker"),
                    ("wrong_clock", "process with a wrong clock"),
                ],
                max_length=20,
                unique=True,
            ),
        ),
    ]
