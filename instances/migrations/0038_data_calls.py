from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0037_read_uploads_in_the_background")]

    operations = [
        migrations.AddField(
            model_name="interaction",
            name="kind",
            field=models.CharField(
                choices=[("exchange", "exchange"), ("data", "data call")],
                db_default="exchange",
                default="exchange",
                max_length=8,
                verbose_name="kind",
            ),
        ),
        migrations.AddField(
            model_name="interaction",
            name="request_bytes",
            field=models.PositiveBigIntegerField(null=True, verbose_name="bytes sent"),
        ),
        migrations.AddField(
            model_name="interaction",
            name="response_bytes",
            field=models.PositiveBigIntegerField(null=True, verbose_name="bytes received"),
        ),
        migrations.AddField(
            model_name="instance",
            name="trace_logging_until",
            field=models.DateTimeField(blank=True, null=True, verbose_name="trace logging until"),
        ),
    ]
