from django.db import migrations

from instances.errors import SecretError


def fill(apps, schema_editor):
    """Tokens of before are looked into once; what no key decrypts is not known to have any."""
    instances = apps.get_model("instances", "Instance").objects
    for instance in instances.iterator():
        if not instance.tokens:
            continue
        try:
            has_one = bool(instance.tokens.reveal().get("refresh_token"))
        except SecretError:
            continue
        instances.filter(pk=instance.pk).update(has_refresh_token=has_one)


class Migration(migrations.Migration):
    dependencies = [("instances", "0011_lists_that_scale")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
