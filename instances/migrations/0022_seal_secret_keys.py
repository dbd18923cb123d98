from django.db import migrations, transaction

from instances.catalogue.definition import ElementDefinition
from instances.errors import UnreadableSecretError
from instances.redaction import is_secret_key

BATCH_ROWS = 500


def seal(apps, schema_editor):
    """Values in clear whose keys are secret now are sealed, batch by batch; run again, it goes on from where it ended."""
    Instance = apps.get_model("instances", "Instance")
    alias = schema_editor.connection.alias
    rules = dict(_rules(apps, alias))
    instances = Instance.objects.using(alias).order_by("pk")
    last, unreadable = 0, []
    while page := list(
        instances.filter(pk__gt=last).values_list("pk", "element_id", "configuration")[:BATCH_ROWS]
    ):
        found = [pk for pk, element, plain in page if any(map(rules[element], plain))]
        if found:
            unreadable += _seal_rows(instances, found, rules, alias)
        last = page[-1][0]
    for pk in unreadable:
        print(  # noqa: T201  read by whoever migrates
            f"\n  Instance {pk}: its secrets do not decrypt, so the values of keys that are secret since this version "
            "stay in clear. Restore its key in ENCRYPTION_KEYS, then save its configuration again."
        )


def _rules(apps, alias):
    """What is secret among each element's keys; by name alone where its definition is none any more."""
    elements = apps.get_model("instances", "Element").objects.using(alias)
    for pk, definition in elements.values_list("pk", "definition"):
        try:
            yield pk, ElementDefinition.model_validate(definition).is_secret
        except ValueError:
            yield pk, is_secret_key


def _seal_rows(instances, pks, rules, alias):
    """The rows, locked meanwhile; the primary keys of those whose other secrets do not decrypt."""
    unreadable = []
    with transaction.atomic(using=alias):
        for row in instances.filter(pk__in=pks).select_for_update():
            secret = {k: v for k, v in row.configuration.items() if rules[row.element_id](k)}
            try:
                sealed = row.secret_configuration.reveal()
            except UnreadableSecretError:
                unreadable.append(row.pk)
                continue
            row.configuration = {k: v for k, v in row.configuration.items() if k not in secret}
            # Where a key has both, the sealed value is the one in use (Instance.full_configuration).
            row.secret_configuration = secret | sealed
            row.secret_keys = sorted(secret | sealed)
            row.save(
                using=alias,
                update_fields=["configuration", "secret_configuration", "secret_keys"],
            )
    return unreadable


class Migration(migrations.Migration):
    # Each batch is a transaction: a program that runs beside it waits for one at the most.
    atomic = False

    dependencies = [("instances", "0021_bulk_jobs_that_stop_halfway")]

    operations = [migrations.RunPython(seal, migrations.RunPython.noop)]
