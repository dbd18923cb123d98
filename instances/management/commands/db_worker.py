"""`manage.py db_worker`: run tasks from the database, and survive its outages."""

import time
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection
from django_tasks_db.management.commands import db_worker

from instances.queries.outages import FIRST_WAIT_SECONDS, LAST_WAIT_SECONDS, is_database_away

# A worker that has run for this long starts with short waits again.
STEADY_SECONDS = 60.0

log = structlog.stdlib.get_logger(__name__)


class Command(db_worker.Command):
    """The worker of django-tasks-db, restarted whenever the database was unavailable."""

    def handle(self, **options: Any) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            began_at = time.monotonic()
            try:
                super().handle(**options)
                return
            except (OperationalError, InterfaceError) as error:
                if not is_database_away(error):
                    raise
                if time.monotonic() > began_at + STEADY_SECONDS:
                    wait = FIRST_WAIT_SECONDS
                log.warning("worker waits for the database", error=type(error).__name__)
                connection.close()
            # The library's handler for SIGTERM and Ctrl-C interrupts this as well.
            time.sleep(wait)
            wait = min(2 * wait, LAST_WAIT_SECONDS)
