"""Heartbeats of processes that serve no requests, by the database's clock."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models.functions import Now

# A process without a heartbeat for this long is considered stopped.
ALIVE_FOR = timedelta(minutes=1)


class ProcessBeatQuerySet(models.QuerySet["ProcessBeat"]):
    def beat(
        self, kind: str, *, at: datetime | None = None, skew: timedelta = timedelta(0)
    ) -> None:
        """Record a heartbeat.

        at: the database's time unless given. skew: how far the process's clock is ahead of it.
        """
        columns = {"at": at or Now(), "clock_skew_seconds": skew.total_seconds()}
        self.update_or_create(kind=kind, defaults=columns)

    def alive(self, *, at: datetime | None = None) -> Self:
        """Kinds with a heartbeat in the last minute.

        at: the database's time unless given.
        """
        now = at or Now()
        # A heartbeat in the future was written by a process with a wrong clock.
        return self.filter(at__gt=now - ALIVE_FOR, at__lt=now + ALIVE_FOR)


class ProcessBeat(models.Model):
    """The last heartbeat of any process of this kind."""

    class Kind(models.TextChoices):
        SCHEDULER = "scheduler", "scheduler"
        # Celery only: a stopped database worker shows in the tasks that wait for it.
        WORKER = "worker", "worker"
        # Any process that takes no work because its clock differs from the database's.
        WRONG_CLOCK = "wrong_clock", "process with a wrong clock"

    kind = models.CharField(max_length=20, choices=Kind.choices, unique=True)
    at = models.DateTimeField()
    # How far the process's clock is ahead of the database's.
    clock_skew_seconds = models.FloatField(default=0.0, db_default=0.0)

    objects = ProcessBeatQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%H:%M:%S}"
