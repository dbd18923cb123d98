"""The permission that GET /authentication/secrets needs; nobody has it by role."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("instances", "0001_squashed_0016_instance_place")]

    operations = [
        migrations.AlterModelOptions(
            name="organizationuser",
            options={
                "ordering": ["organization__name", "email"],
                "permissions": [("reveal_secrets", "Can reveal the secrets of the platform API")],
                "verbose_name": "organization user",
                "verbose_name_plural": "organization users",
            },
        ),
    ]
