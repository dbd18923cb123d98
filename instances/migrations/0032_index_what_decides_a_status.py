from django.db import migrations, models
from django.db.models import Q

from instances.queries.online_index import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0031_index_unverified")]

    operations = [
        AddIndexOnline(
            model_name="instance",
            index=models.Index(
                fields=["-id"], condition=Q(is_disabled=True), name="instance_disabled"
            ),
        ),
        AddIndexOnline(
            model_name="instance",
            index=models.Index(
                fields=["-id"],
                condition=Q(quarantined_at__isnull=False),
                name="instance_quarantined",
            ),
        ),
        AddIndexOnline(
            model_name="instance",
            index=models.Index(
                fields=["expires_at"],
                condition=Q(has_refresh_token=False, refresh_due_at=None),
                name="instance_ending",
            ),
        ),
        AddIndexOnline(
            model_name="instance",
            index=models.Index(
                fields=["organization_user"],
                condition=Q(state="connected", is_disabled=False, cause="", verified_at=None),
                name="instance_unverified_count",
            ),
        ),
    ]
