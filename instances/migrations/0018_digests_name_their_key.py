from django.db import migrations, models

MODELS = ("authorization", "authorizationlink", "idempotencykey")


class Migration(migrations.Migration):
    dependencies = [("instances", "0017_reveal_secrets")]

    operations = [
        migrations.AddField(
            model_name=name,
            name="digest_key_id",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=8
            ),
        )
        for name in MODELS
    ]
