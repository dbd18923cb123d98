from django.db import migrations
from django.db.models import F

from instances.catalogue.definition import ElementDefinition

BATCH_ROWS = 500


def fill(apps, schema_editor):
    """Only what exchanged something is verified; what did not has neither been checked nor succeeded.

    Until now, credentials that nothing was sent with counted as checked. Batch by batch; may be run again.
    """
    Instance = apps.get_model("instances", "Instance")
    alias = schema_editor.connection.alias
    proving = dict(_proving_ways(apps, alias))
    instances = Instance.objects.using(alias)
    columns = (
        "pk",
        "element_id",
        "authentication_type",
        "external_authentication",
        "tokens_version",
    )
    users = apps.get_model("instances", "OrganizationUser").objects.using(alias)
    remote = set(users.exclude(organization__platform_url="").values_list("pk", flat=True))
    last = 0
    while page := list(
        instances.filter(pk__gt=last)
        .order_by("pk")
        .values_list("organization_user_id", *columns)[:BATCH_ROWS]
    ):
        proved, trusted = [], []
        for user, pk, element, way, external, version in page:
            is_unused_import = external == "initial" and version < 2
            is_proved = user in remote or (way in proving.get(element, ()) and not is_unused_import)
            (proved if is_proved else trusted).append(pk)
        instances.filter(pk__in=proved).update(verified_at=F("last_succeeded_at"))
        instances.filter(pk__in=trusted).update(last_checked_at=None, last_succeeded_at=None)
        last = page[-1][1]


def _proving_ways(apps, alias):
    """Yield each element with those of its ways of authentication that exchange something."""
    elements = apps.get_model("instances", "Element").objects.using(alias)
    for pk, definition in elements.values_list("pk", "definition"):
        try:
            ways = ElementDefinition.model_validate(definition).authentication
        except ValueError:
            continue
        yield pk, {way.type for way in ways if way.probe or way.obtains_token}


class Migration(migrations.Migration):
    # Each batch is a transaction: a program that runs beside it waits for one at the most.
    atomic = False

    dependencies = [("instances", "0029_instance_verified_at")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
