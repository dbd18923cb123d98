import hashlib
import json

from django.db import migrations, models
from django.db.models import Q

from instances.queries.online_index import AddIndexOnline

BATCH = 1000


def find_known_accounts(apps, schema_editor):
    """Make the accounts that are known already searchable, a batch at a time."""
    Instance = apps.get_model("instances", "Instance")
    AccountPart = apps.get_model("instances", "AccountPart")
    known = Instance.objects.filter(account_identity__isnull=False, account_digest="")
    last = 0
    while rows := list(
        known.filter(pk__gt=last)
        .order_by("pk")
        .only("pk", "element_id", "account_identity")[:BATCH]
    ):
        last = rows[-1].pk
        rows = [row for row in rows if row.account_identity]
        parts = [
            AccountPart(instance_id=row.pk, name=name[:200], value=str(value)[:200])
            for row in rows
            for name, value in row.account_identity.items()
        ]
        AccountPart.objects.bulk_create(parts, ignore_conflicts=True)
        for row in rows:
            # As in models/accounts.py.
            text = json.dumps([row.element_id, *sorted(row.account_identity.items())])
            row.account_digest = hashlib.sha256(text.encode()).hexdigest()
        Instance.objects.bulk_update(rows, ["account_digest"])


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0050_accounts")]

    operations = [
        migrations.RunPython(find_known_accounts, migrations.RunPython.noop, elidable=True),
        AddIndexOnline(
            model_name="instance",
            index=models.Index(
                fields=["account_digest", "id"],
                condition=~Q(account_digest=""),
                name="instance_account",
            ),
        ),
    ]
