"""Count the tasks that wait for a worker."""

from typing import Any

from django.tasks.base import Task
from django_tasks_db.models import DBTaskResult


def count_waiting(task: Task[Any, Any]) -> int:
    """Count how often this task waits for a worker.

    In a broker, whose messages cannot be told apart, all messages of the task's queue count.

    Raises TaskNotEnqueuedError if the broker does not respond.
    """
    backend = task.get_backend()
    # Celery is imported only where it is used.
    if hasattr(backend, "count_waiting"):
        return int(backend.count_waiting(task))
    return DBTaskResult.objects.ready().filter(task_path=task.module_path).count()
