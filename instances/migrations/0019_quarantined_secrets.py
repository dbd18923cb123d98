from django.db import migrations, models

MODELS = ("authorization", "bulkrow", "instance", "oauthapp", "organization", "organizationuser")


class Migration(migrations.Migration):
    dependencies = [("instances", "0018_digests_name_their_key")]

    operations = [
        migrations.AddField(
            model_name=name,
            name="quarantined_at",
            field=models.DateTimeField(
                blank=True, editable=False, null=True, verbose_name="secrets unreadable since"
            ),
        )
        for name in MODELS
    ]
