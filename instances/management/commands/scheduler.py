"""`manage.py scheduler`: do all periodic work that is due, until stopped.

Any number may run.
"""

import signal
import threading
from argparse import ArgumentParser
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as AnyDatabaseError, connection

from instances.deadlines import Deadline
from instances.errors import ClockSkewError
from instances.models import ProcessBeat
from instances.queries.database_clock import MAX_SKEW, clock_skew, require_right_clock
from instances.taskqueue.health_server import serve_health
from instances.taskqueue.periodic import Timetable

TICK_SECONDS = 5.0
BEAT_SECONDS = 20.0
# A turn that lasts longer has hung: the process no longer counts as running.
LONGEST_TURN = timedelta(minutes=15)

log = structlog.stdlib.get_logger(__name__)


class Command(BaseCommand):
    help = (
        "Run scheduled work: refresh tokens, check and reconcile instances, finish deletions, recover bulk jobs, and "
        "delete old interactions."
    )
    _turn_ends_by = Deadline(LONGEST_TURN)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what is due now, and exit")

    def handle(self, **options: Any) -> None:
        stopping = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stopping.set())
        if not options["once"]:
            _serve_health()
            threading.Thread(target=self._beat, args=[stopping], daemon=True).start()
        timetable = Timetable()
        while not stopping.is_set():
            has_more = False
            self._turn_ends_by = Deadline(LONGEST_TURN)
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

    def _beat(self, stopping: threading.Event) -> None:
        """Say that this process runs, also while a turn takes long."""
        while not stopping.wait(BEAT_SECONDS):
            if self._turn_ends_by.has_passed:
                continue
            with suppress(AnyDatabaseError):
                if abs(skew := clock_skew()) <= MAX_SKEW:
                    ProcessBeat.objects.beat(ProcessBeat.Kind.SCHEDULER, skew=skew)
            connection.close()

    def tick(self, timetable: Timetable) -> bool:
        """Run one turn. Returns whether more work is due right now."""
        try:
            require_right_clock()
        except ClockSkewError as error:
            log.error("scheduler takes on no work", why=str(error))
            return False
        ProcessBeat.objects.beat(ProcessBeat.Kind.SCHEDULER, skew=clock_skew())
        return timetable.run_due()


def _serve_health() -> None:
    host, port = settings.HOST, settings.SCHEDULER_HEALTH_PORT
    if not port:
        return
    try:
        serve_health(host, port)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the port is out of range"
        raise CommandError(
            f"Cannot listen on {host}, port {port}: {reason}. Set SCHEDULER_HEALTH_PORT to a free port, or to 0."
        ) from None
