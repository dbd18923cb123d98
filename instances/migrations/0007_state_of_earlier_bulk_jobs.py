from django.db import migrations
from django.utils import timezone


def fill(apps, schema_editor):
    """Jobs of before ran in one command: what is left of their rows can be resumed."""
    jobs = apps.get_model("instances", "BulkJob").objects.filter(state="reading")
    rows = apps.get_model("instances", "BulkRow").objects
    unended = rows.filter(outcome__in=["pending", "running"])
    unended.update(outcome="pending", due_at=timezone.now())
    with_rest = set(unended.values_list("job_id", flat=True))
    jobs.filter(pk__in=with_rest).update(state="paused")
    jobs.exclude(pk__in=with_rest).update(state="finished")


class Migration(migrations.Migration):
    dependencies = [("instances", "0006_bulk_jobs_run_in_parallel")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
