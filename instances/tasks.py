"""Background tasks: each calls one provisioning function and may run twice.

A task waits for the end of a database outage. It returns an error as a sentence instead of raising it: the instance
stores what went wrong, so a traceback in the task backend would add nothing.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.tasks import task

from instances.deadlines import Deadline
from instances.errors import ClockSkewError, InstancesError
from instances.models import Instance
from instances.provisioning.lifecycle import check, delete, provision, switches
from instances.queries.outages import wait_for_database

# Brokers redeliver a task that is not acknowledged (RabbitMQ after 30 minutes).
HOLD_TASK_FOR = timedelta(minutes=10)
POLL_SECONDS = 5.0


@task
def provision_instance(instance_id: int, actor: str) -> str:
    return _run(provision.provision_instance, instance_id, actor=actor)


@task
def check_instance(instance_id: int, actor: str) -> str:
    return _run(check.check_instance, instance_id, actor=actor)


@task
def set_enabled(instance_id: int, actor: str, is_enabled: bool) -> str:
    return _run(switches.set_enabled, instance_id, actor=actor, is_enabled=is_enabled)


@task
def delete_instance(instance_id: int, actor: str) -> str:
    return _run(delete.delete_instance, instance_id, actor=actor)


def _run(verb: Callable[..., Any], instance_id: int, **arguments: Any) -> str:
    return wait_for_database(partial(_of_instance, verb, instance_id, **arguments))


def _of_instance(verb: Callable[..., Any], instance_id: int, **arguments: Any) -> str:
    instance = Instance.objects.filter(pk=instance_id).first()
    if instance is None:
        return "The instance has already been deleted."
    try:
        with_right_clock(partial(verb, instance, **arguments))
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
