"""`manage.py scheduler`: do all periodic work that is due, until stopped.

Any number may run.
"""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import Error as AnyDatabaseError, connection

from instances.errors import ClockSkewError
from instances.models import ProcessBeat
from instances.queries.database_clock import clock_skew, require_right_clock
from instances.taskqueue.periodic import Timetable

TICK_SECONDS = 5.0

log = structlog.stdlib.get_logger(__name__)


class Command(BaseCommand):
    help = (
        "Run scheduled work: refresh tokens, check and reconcile instances, finish deletions, recover bulk jobs, and "
        "delete old interactions."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what is due now, and exit")

    def handle(self, **options: Any) -> None:
        stopping = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stopping.set())
        timetable = Timetable()
        while not stopping.is_set():
            has_more = False
            try:
                has_more = self.tick(timetable)
            except AnyDatabaseError as error:
                # Keep running: the database may be back at the next turn.
                log.warning("scheduler cannot reach the database", error=type(error).__name__)
                connection.close()
            if options["once"]:
                return
            if not has_more:
                stopping.wait(TICK_SECONDS)

    def tick(self, timetable: Timetable) -> bool:
        """Run one turn. Returns whether more work is due right now."""
        try:
            require_right_clock()
        except ClockSkewError as error:
            log.error("scheduler takes on no work", why=str(error))
            return False
        ProcessBeat.objects.beat(ProcessBeat.Kind.SCHEDULER, skew=clock_skew())
        return timetable.run_due()
