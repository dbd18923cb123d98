"""Background tasks: an action on one instance, which may run twice.

A task waits for the end of a database outage. It returns an error as a sentence instead of raising it: the instance
stores what went wrong, so a traceback in the task backend would add nothing.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.tasks import task

from instances.deadlines import Deadline
from instances.errors import ClockSkewError, InstancesError
from instances.models import Instance
from instances.provisioning.actions import ACTIONS, Action
from instances.queries.outages import wait_for_database

# Brokers redeliver a task that is not acknowledged (RabbitMQ after 30 minutes).
HOLD_TASK_FOR = timedelta(minutes=10)
POLL_SECONDS = 5.0


@task
def carry_out(action: str, instance_id: int, actor: str) -> str:
    """Carry out an action of the table on an instance."""
    return wait_for_database(partial(_carry_out, ACTIONS[action], instance_id, actor=actor))


def _carry_out(action: Action, instance_id: int, *, actor: str) -> str:
    instance = Instance.objects.filter(pk=instance_id).first()
    if instance is None:
        return "The instance has already been deleted."
    if action.verb is None:
        return f"{action.name} cannot be carried out in the background."
    try:
        with_right_clock(partial(action.verb, instance, actor=actor))
    except InstancesError as error:
        return str(error)
    return "Done."


def with_right_clock[R](verb: Callable[[], R]) -> R:
    """Hold a task while this worker's clock is wrong, then run it.

    A task that failed at once would make this worker take all tasks from the others and fail them too.

    Raises ClockSkewError after HOLD_TASK_FOR, and immediately inside a request.
    """
    deadline = Deadline(HOLD_TASK_FOR)
    while True:
        try:
            return verb()
        except ClockSkewError:
            if settings.TASKS_BACKEND == "immediate" or deadline.has_passed:
                raise
            time.sleep(POLL_SECONDS)
