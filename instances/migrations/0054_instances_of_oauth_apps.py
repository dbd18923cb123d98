from django.db import migrations, models
from django.db.models import Q

from instances.queries.online_index import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0053_several_oauth_apps")]

    operations = [
        AddIndexOnline(
            model_name="instance",
            index=models.Index(
                fields=["oauth_app"],
                condition=Q(oauth_app__isnull=False),
                name="instance_oauth_app",
            ),
        ),
    ]
