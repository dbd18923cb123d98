"""Our programs with short waits: `python -m tests.services.hurried manage.py scheduler`, or `… celery -A config worker`.

CLOCK_SKEW_SECONDS in the environment: how far their clock is ahead of the machine's.
"""

import os
import sys
from datetime import timedelta

import django
from celery.__main__ import main as celery
from django.core.management import execute_from_command_line
from django.utils import timezone

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from instances.bulk import jobs as bulk_jobs, rows as bulk_rows  # noqa: E402
from instances.bulk.running import work as bulk_work  # noqa: E402
from instances.management.commands import scheduler  # noqa: E402
from instances.provisioning.lifecycle import provision, reconcile  # noqa: E402

WAIT = timedelta(seconds=4)

if __name__ == "__main__":
    reconcile.CREATE_GRACE_PERIOD = bulk_rows.CREATE_GRACE_PERIOD = WAIT  # type: ignore[attr-defined]
    provision.SEND_WITHIN = bulk_work.SEND_WITHIN = WAIT  # type: ignore[attr-defined]
    bulk_jobs.ADOPT_AFTER = WAIT
    scheduler.TICK_SECONDS = 1.0
    if "CLOCK_SKEW_SECONDS" in os.environ:
        real_now, skew = timezone.now, timedelta(seconds=float(os.environ["CLOCK_SKEW_SECONDS"]))
        timezone.now = lambda: real_now() + skew
    sys.argv = sys.argv[1:]
    if sys.argv[0] == "celery":
        celery()
    execute_from_command_line(sys.argv)
