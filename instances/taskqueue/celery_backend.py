"""Run background tasks with Celery: backend for django.tasks, and worker.

`python -m celery -A config worker` uses the application defined here. A message contains the name of a task and its
arguments, which are ids and choices, never a secret.
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
    """Run a task of django.tasks.

    If the worker is lost meanwhile, the broker redelivers the task to another worker, once.
    """
    if self.request.delivery_info.get("redelivered"):
        return run_for_the_last_time.delay(path, args, kwargs).id
    return _call(path, args, kwargs)


@app.task(name="run_for_the_last_time")
def run_for_the_last_time(path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Run a redelivered task; it is acknowledged first.

    So a task that kills its worker cannot kill one worker after another.
    """
    return _call(path, args, kwargs)


@setup_logging.connect
def leave_logging_alone(**_: Any) -> None:
    """Keep Celery from configuring logging: settings.LOGGING redacts its lines too."""


@heartbeat_sent.connect
def beat(**_: Any) -> None:
    """Record that this worker reaches its broker, for `/metrics` and the scheduler's `/readyz`.

    Celery sends this signal every few seconds.
    """
    from django.db import DatabaseError, connection

    from instances.models import ProcessBeat
    from instances.queries.database_clock import clock_skew, require_right_clock

    try:
        require_right_clock()
        ProcessBeat.objects.beat(ProcessBeat.Kind.WORKER, skew=clock_skew())
    except ClockSkewError as error:
        log.error("worker takes on no work", why=str(error))
    except DatabaseError as error:
        log.warning("worker cannot store its heartbeat", error=type(error).__name__)
    finally:
        # Processes that are forked later must not share the connection.
        connection.close()


class CeleryBackend(BaseTaskBackend):
    """A task backend for settings.TASKS that sends tasks to Celery.

    enqueue() raises TaskNotEnqueuedError if the broker does not accept the task.
    """

    def enqueue[**P, R](self, task: "Task[P, R]", args: Any, kwargs: Any) -> "TaskResult[P, R]":
        self.validate_task(task)
        sent: dict[str, Any] = normalize_json({"args": args, "kwargs": kwargs})  # type: ignore[assignment]
        try:
            message = run.delay(task.module_path, sent["args"], sent["kwargs"])
        except _broker_errors():
            # Their messages may contain the broker's address and password.
            raise TaskNotEnqueuedError(
                "The background workers could not be reached: the broker does not respond, or rejects CELERY_BROKER_URL."
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
        raise TypeError(f"{path} is not a task.")
    return task.call(*args, **kwargs)
