"""Make Celery workers reject messages that this program did not send.

Celery's own consumer logs the whole body and crashes on what it does not expect, so a single such message would crash
every worker that receives it.
"""

import inspect
from collections.abc import Callable
from typing import Any, get_origin

import structlog
from celery.worker.consumer import Consumer
from django.tasks.base import Task
from django.utils.module_loading import import_string

from instances.taskqueue.celery_backend import run, run_for_the_last_time

# Our own messages contain a name and a few ids.
MAX_BYTES = 1024 * 1024
CONTENT_TYPE = "application/json"
# Celery features that we never use. An invalid value would crash one of the worker's processes.
_PLAIN = {
    "eta": None,
    "expires": None,
    "group": None,
    "retries": 0,
    "shadow": None,
    "stamped_headers": None,
    "timelimit": [None, None],
}
_TASKS = {run.name, run_for_the_last_time.name}

log = structlog.stdlib.get_logger(__name__)


class CarefulConsumer(Consumer):
    """A consumer (`worker_consumer`) that accepts only what CeleryBackend sends."""

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        handle = super().create_task_handler(*args, **kwargs)

        def take(message: Any) -> None:
            try:
                if problem := _problem_of(message):
                    self._reject(message, problem)
                else:
                    handle(message)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as error:  # noqa: BLE001  a message may contain anything
                self._reject(message, type(error).__name__)

        return take

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._reject(message, type(exc).__name__)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        self._reject(message, "it is not a task")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._reject(message, "there is no such task")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._reject(message, type(exc).__name__)

    def _reject(self, message: Any, problem: str) -> None:
        log.warning("worker rejected a message that this program did not send", problem=problem)
        channel = self.task_consumer.channel
        if not getattr(message, "acknowledged", False):
            channel.basic_reject(message.delivery_tag, requeue=False)


def _problem_of(message: Any) -> str:
    """Say why a message is not one of ours; empty if it is.

    Raises any error that decoding its body causes.
    """
    headers = message.headers or {}
    if not isinstance(headers.get("task"), str) or headers["task"] not in _TASKS:
        return "there is no such task"
    if not isinstance(headers.get("id"), str):
        return "it has no id"
    if message.content_type != CONTENT_TYPE:
        return "its content type is not JSON"
    if len(message.body or "") > MAX_BYTES:
        return "it is too long"
    if any(headers.get(name) not in (None, plain) for name, plain in _PLAIN.items()):
        return "it has a header that this program does not use"
    args, kwargs, embedded = message.payload
    if any(embedded.values()):
        return "it contains other tasks"
    if not _fit(run.run, args, kwargs):
        return "its arguments are invalid"
    path, *arguments = args
    return _problem_of_call(path, *arguments)


def _problem_of_call(path: str, args: list[Any], kwargs: dict[str, Any]) -> str:
    try:
        task = import_string(path)
    except (ImportError, TypeError, ValueError):
        return "there is no such task"
    if not isinstance(task, Task):
        return "there is no such task"
    return "" if _fit(task.func, args, kwargs) else "its arguments are invalid"


def _fit(function: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    """Return whether the arguments fit the function's signature and types."""
    signature = inspect.signature(function)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError:
        return False
    types = {
        name: get_origin(parameter.annotation) or parameter.annotation
        for name, parameter in signature.parameters.items()
    }
    return all(isinstance(value, types[name]) for name, value in given.items())
