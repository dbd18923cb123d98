"""Process beats: the last sign of life of a process that no request reaches."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models

# A process that has not beaten for so long is taken for gone.
ALIVE_FOR = timedelta(minutes=1)


class ProcessBeatQuerySet(models.QuerySet["ProcessBeat"]):
    def beat(self, kind: str, *, at: datetime) -> None:
        self.update_or_create(kind=kind, defaults={"at": at})

    def alive(self, *, at: datetime) -> Self:
        return self.filter(at__gt=at - ALIVE_FOR)


class ProcessBeat(models.Model):
    """When any process of this kind last turned to its work."""

    class Kind(models.TextChoices):
        SCHEDULER = "scheduler", "scheduler"
        # Of Celery alone: a worker of the database is told by the tasks that wait for it.
        WORKER = "worker", "worker"

    kind = models.CharField(max_length=20, choices=Kind.choices, unique=True)
    at = models.DateTimeField()

    objects = ProcessBeatQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%H:%M:%S}"
