"""Background tasks over a broker: the backend that hands tasks of django.tasks to Celery, and the worker's side.

`python -m celery -A config worker` finds the application here. A message holds the name of a task and its arguments,
which are ids and choices, never a secret.
"""

import os
from typing import Any

import structlog
from celery import Celery, Task as CeleryTask
from celery.signals import heartbeat_sent, setup_logging
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.base import Task, TaskResult, TaskResultStatus
from django.tasks.signals import task_enqueued
from django.utils import timezone
from django.utils.json import normalize_json
from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES

from instances.errors import ClockSkewError, TaskNotEnqueuedError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

log = structlog.stdlib.get_logger(__name__)

TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = (
    "instances.taskqueue.celery_redis:CarefulTransport"
)

app = Celery("instances")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task(name="run", bind=True, acks_late=True, reject_on_worker_lost=True)
def run(self: CeleryTask, path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Run one task of django.tasks. When the worker is lost meanwhile, the broker gives it to another: once."""
    if self.request.delivery_info.get("redelivered"):
        return run_for_the_last_time.delay(path, args, kwargs).id
    return _call(path, args, kwargs)


@app.task(name="run_for_the_last_time")
def run_for_the_last_time(path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Off the broker before it begins, so that a task that kills its worker does not do so without end."""
    return _call(path, args, kwargs)


@setup_logging.connect
def leave_logging_alone(**_: Any) -> None:
    """Celery sets up none of its own, so its lines pass the redactor of settings.LOGGING like all others."""


@heartbeat_sent.connect
def beat(**_: Any) -> None:
    """Every few seconds a worker that reaches its broker says so, for `/readyz` and `/metrics`."""
    from django.db import DatabaseError, connection

    from instances.models import ProcessBeat
    from instances.queries.database_clock import clock_skew, require_right_clock

    try:
        require_right_clock()
        ProcessBeat.objects.beat(ProcessBeat.Kind.WORKER, skew=clock_skew())
    except ClockSkewError as error:
        log.error("worker takes on no work", why=str(error))
    except DatabaseError as error:
        log.warning("worker cannot tell the database that it runs", error=type(error).__name__)
    finally:
        # A process that is forked later must not share it.
        connection.close()


class CeleryBackend(BaseTaskBackend):
    """For settings.TASKS. Raises TaskNotEnqueuedError when the broker does not take a task."""

    def enqueue[**P, R](self, task: "Task[P, R]", args: Any, kwargs: Any) -> "TaskResult[P, R]":
        self.validate_task(task)
        sent: dict[str, Any] = normalize_json({"args": args, "kwargs": kwargs})  # type: ignore[assignment]
        try:
            message = run.delay(task.module_path, sent["args"], sent["kwargs"])
        except _broker_errors():
            # Their words may hold the broker's address and password.
            raise TaskNotEnqueuedError(
                "The workers cannot be asked now: their broker does not answer, or refuses CELERY_BROKER_URL."
            ) from None
        result: TaskResult[P, R] = TaskResult(
            task=task,
            id=message.id,
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            **sent,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        task_enqueued.send(type(self), task_result=result)
        return result


def _broker_errors() -> tuple[type[Exception], ...]:
    transport = app.connection_for_write().transport
    return (OperationalError, *transport.connection_errors, *transport.channel_errors)


def _call(path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    task = import_string(path)
    if not isinstance(task, Task):
        raise TypeError(f"{path} is no task.")
    return task.call(*args, **kwargs)
