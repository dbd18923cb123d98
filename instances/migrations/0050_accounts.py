from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0049_refresh_token_ends")]

    operations = [
        migrations.CreateModel(
            name="AccountPart",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("value", models.CharField(db_index=True, max_length=200, verbose_name="value")),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=models.CASCADE,
                        related_name="account_parts",
                        to="instances.instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "part of an account's identity",
                "verbose_name_plural": "parts of accounts' identities",
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(fields=("instance", "name"), name="account_part_once")
                ],
            },
        ),
        migrations.AddField(
            model_name="instance",
            name="account_digest",
            field=models.CharField(db_default="", default="", editable=False, max_length=64),
        ),
    ]
