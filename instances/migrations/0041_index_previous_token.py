from django.db import migrations, models
from django.db.models import Q

from instances.queries.online_index import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0040_previous_element_token")]

    operations = [
        AddIndexOnline(
            model_name="instance",
            index=models.Index(
                fields=["previous_token_digest"],
                condition=Q(previous_token_digest__isnull=False),
                name="instance_previous_token",
            ),
        )
    ]
