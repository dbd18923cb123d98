from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0051_accounts_are_found")]

    operations = [
        migrations.AddField(
            model_name="oauthapp",
            name="secret_ends_on",
            field=models.DateField(
                blank=True,
                help_text="As the provider says. Lists warn before that day.",
                null=True,
                verbose_name="client secret ends on",
            ),
        ),
    ]
