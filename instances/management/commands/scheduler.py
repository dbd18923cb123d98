"""`manage.py scheduler`: turns to whatever is due, until it is stopped. Any number may run."""

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
        "Refresh tokens, check instances, reconcile lost answers, end deletions, go on with bulk jobs whose workers "
        "are gone, and prune, whenever due."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="turn to what is due now, and end")

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
                # The database may be back at the next tick; a scheduler that ends would not be.
                log.warning("scheduler cannot reach the database", error=type(error).__name__)
                connection.close()
            if options["once"]:
                return
            if not has_more:
                stopping.wait(TICK_SECONDS)

    def tick(self, timetable: Timetable) -> bool:
        """One turn. True after a full batch, which is followed by the next at once."""
        try:
            require_right_clock()
        except ClockSkewError as error:
            log.error("scheduler takes on no work", why=str(error))
            return False
        ProcessBeat.objects.beat(ProcessBeat.Kind.SCHEDULER, skew=clock_skew())
        return timetable.run_due()
