from django.db import migrations, models

import instances.fields


class Migration(migrations.Migration):
    dependencies = [("instances", "0039_index_exchanges")]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="previous_token_digest",
            field=models.CharField(editable=False, max_length=64, null=True),
        ),
        migrations.AddField(
            model_name="instance",
            name="previous_token",
            field=instances.fields.SealedTextField(
                blank=True,
                db_default="",
                default="",
                digest_field="previous_token_digest",
                editable=False,
                verbose_name="previous Element token",
            ),
        ),
        migrations.AddField(
            model_name="instance",
            name="previous_token_until",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                null=True,
                verbose_name="previous Element token works until",
            ),
        ),
    ]
