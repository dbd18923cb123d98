from django.db import migrations, models
from django.db.models import Q

from instances.queries.online_index import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0030_fill_verified_at")]

    operations = [
        AddIndexOnline(
            model_name="instance",
            index=models.Index(
                fields=["-id"],
                condition=Q(state="connected", is_disabled=False, verified_at=None),
                name="instance_unverified",
            ),
        )
    ]
