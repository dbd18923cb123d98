"""Process beats: the last sign of life of a process that no request reaches, by the database's clock."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models.functions import Now

# A process that has not beaten for so long is taken for gone.
ALIVE_FOR = timedelta(minutes=1)


class ProcessBeatQuerySet(models.QuerySet["ProcessBeat"]):
    def beat(
        self, kind: str, *, at: datetime | None = None, skew: timedelta = timedelta(0)
    ) -> None:
        """at: the database's own time unless given. skew: how far the process's clock is ahead of that."""
        columns = {"at": at or Now(), "clock_skew_seconds": skew.total_seconds()}
        self.update_or_create(kind=kind, defaults=columns)

    def alive(self, *, at: datetime | None = None) -> Self:
        """Those that beat within the last minute; at: the database's own time unless given."""
        now = at or Now()
        # One from the future was dated by a wrong clock.
        return self.filter(at__gt=now - ALIVE_FOR, at__lt=now + ALIVE_FOR)


class ProcessBeat(models.Model):
    """When any process of this kind last turned to its work."""

    class Kind(models.TextChoices):
        SCHEDULER = "scheduler", "scheduler"
        # Of Celery alone: a worker of the database is told by the tasks that wait for it.
        WORKER = "worker", "worker"
        # Any process that takes on no work because its clock differs from the database's.
        WRONG_CLOCK = "wrong_clock", "process with a wrong clock"

    kind = models.CharField(max_length=20, choices=Kind.choices, unique=True)
    at = models.DateTimeField()
    # How far the process's clock was ahead of the database's.
    clock_skew_seconds = models.FloatField(default=0.0, db_default=0.0)

    objects = ProcessBeatQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%H:%M:%S}"
