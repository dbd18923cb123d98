from django.db import migrations, models
from django.db.models import Q

from instances.queries.online_index import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0038_data_calls")]

    operations = [
        AddIndexOnline(
            model_name="interaction",
            index=models.Index(
                fields=["instance", "-id"],
                condition=Q(kind="exchange"),
                name="interaction_exchanges",
            ),
        )
    ]
