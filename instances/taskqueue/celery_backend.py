"""Run background tasks with Celery: backend for django.tasks, and worker.

`python -m celery -A config worker` uses the application defined here. A message contains the name of a task and its
arguments, which are ids and choices, never a secret.
"""

import os
from typing import Any

import structlog
from celery import Celery, Task as CeleryTask
from celery.signals import heartbeat_sent, setup_logging
from django.conf import settings
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.base import DEFAULT_TASK_PRIORITY, Task, TaskResult, TaskResultStatus
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
    delivery = self.request.delivery_info
    if delivery.get("redelivered"):
        again = run_for_the_last_time.apply_async(
            (path, args, kwargs), queue=delivery.get("routing_key")
        )
        return again.id
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

    Tasks of a priority below the default have a queue of their own, from which workers take in turn with the other one.
    enqueue() and count_waiting() raise TaskNotEnqueuedError if the broker does not respond.
    """

    supports_priority = True

    def count_waiting(self, task: "Task[Any, Any]") -> int:
        """Count the messages in the task's queue that no worker has taken."""
        with app.connection_for_write() as connection:
            try:
                connection.ensure_connection(
                    max_retries=1, timeout=app.conf.broker_connection_timeout
                )
                channel = connection.default_channel
                return int(channel.queue_declare(_queue_of(task), passive=True).message_count)
            except connection.channel_errors:
                # Nothing was ever sent to this queue.
                return 0
            except _broker_errors():
                raise _unreachable() from None

    def enqueue[**P, R](self, task: "Task[P, R]", args: Any, kwargs: Any) -> "TaskResult[P, R]":
        self.validate_task(task)
        sent: dict[str, Any] = normalize_json({"args": args, "kwargs": kwargs})  # type: ignore[assignment]
        try:
            message = run.apply_async(
                (task.module_path, sent["args"], sent["kwargs"]), queue=_queue_of(task)
            )
        except _broker_errors():
            raise _unreachable() from None
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


def _queue_of(task: "Task[Any, Any]") -> str:
    default, bulk = settings.CELERY_TASK_QUEUES
    return bulk if task.priority < DEFAULT_TASK_PRIORITY else default


def _unreachable() -> TaskNotEnqueuedError:
    """Return the error to raise in place of the broker's own, which may contain its address and password."""
    return TaskNotEnqueuedError(
        "The background workers could not be reached: the broker does not respond, or rejects CELERY_BROKER_URL."
    )


def _broker_errors() -> tuple[type[Exception], ...]:
    transport = app.connection_for_write().transport
    return (OperationalError, *transport.connection_errors, *transport.channel_errors)


def _call(path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    task = import_string(path)
    if not isinstance(task, Task):
        raise TypeError(f"{path} is not a task.")
    return task.call(*args, **kwargs)
