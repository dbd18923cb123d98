"""`manage.py scheduler`: turns to whatever is due, until it is stopped. Any number may run."""

import signal
import threading
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import Error as AnyDatabaseError, connection
from django.utils import timezone

from instances.bulk.jobs import recover_bulk_jobs
from instances.bulk.tasks import enqueue_bulk_job
from instances.errors import ClockSkewError, TaskNotEnqueuedError
from instances.models import ProcessBeat
from instances.provisioning.lifecycle.pruning import prune
from instances.provisioning.lifecycle.sweeps import BATCH, refresh_due_instances, work_due_instances
from instances.queries.database_clock import clock_skew, require_right_clock

TICK_SECONDS = 5.0
PRUNE_INTERVAL = timedelta(hours=6)
KEEP_INTERACTIONS = timedelta(days=90)

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
        self.prune_due_at = timezone.now()
        while not stopping.is_set():
            has_more = False
            try:
                has_more = self.tick()
            except AnyDatabaseError as error:
                # The database may be back at the next tick; a scheduler that ends would not be.
                log.warning("scheduler cannot reach the database", error=type(error).__name__)
                connection.close()
            if options["once"]:
                return
            if not has_more:
                stopping.wait(TICK_SECONDS)

    def tick(self) -> bool:
        """One turn. True after a full batch, which is followed by the next at once."""
        try:
            require_right_clock()
        except ClockSkewError as error:
            log.error("scheduler takes on no work", why=str(error))
            return False
        now = timezone.now()
        ProcessBeat.objects.beat(ProcessBeat.Kind.SCHEDULER, skew=clock_skew())
        refreshed, worked = refresh_due_instances(), work_due_instances()
        done = refreshed.succeeded + worked.succeeded
        failed = len(refreshed.failures) + len(worked.failures)
        if done or failed:
            log.info("scheduler did what was due", done=done, failed=failed)
        for job in recover_bulk_jobs():
            try:
                enqueue_bulk_job(job)
            except TaskNotEnqueuedError as error:
                log.warning("scheduler cannot ask the workers", job=job.pk, error=str(error))
        if now >= self.prune_due_at:
            prune(before=now - KEEP_INTERACTIONS)
            self.prune_due_at = now + PRUNE_INTERVAL
        return done > 0 and max(refreshed.total, worked.total) >= BATCH
