"""`manage.py db_worker`: runs the tasks that wait in the database, and outlives its outages."""

import time
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection
from django_tasks_db.management.commands import db_worker

from instances.queries.outages import FIRST_WAIT_SECONDS, LAST_WAIT_SECONDS, is_database_away

# What ran for so long begins with short waits again.
STEADY_SECONDS = 60.0

log = structlog.stdlib.get_logger(__name__)


class Command(db_worker.Command):
    """The library's, which ends when the database does not answer."""

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
            # The library's handler of SIGTERM and Ctrl-C ends this, too.
            time.sleep(wait)
            wait = min(2 * wait, LAST_WAIT_SECONDS)
