from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0041_index_previous_token")]

    operations = [
        migrations.AddField(
            model_name="organizationuser",
            name="may_read_credentials",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Lets its programs read access tokens and API keys (GET /instances/{id}/credentials). Each time is recorded.",
                verbose_name="may read credentials",
            ),
        ),
    ]
