"""Background tasks: each is one line that calls a verb, and is safe to run twice.

They outlive an outage of the database, and answer a sentence rather than raise: what went wrong stands on the instance, and a task engine would keep a
traceback that nobody reads.
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

# Brokers take a task for lost that nobody acknowledges (RabbitMQ after 30 minutes).
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
        return "The instance is gone already."
    try:
        _with_right_clock(partial(verb, instance, **arguments))
    except InstancesError as error:
        return str(error)
    return "Done."


def _with_right_clock[R](verb: Callable[[], R]) -> R:
    """Hold on to the task while this worker's clock is wrong: one that ended would take the next from the other workers.

    Raises ClockSkewError after HOLD_TASK_FOR, and at once inside a request.
    """
    deadline = Deadline(HOLD_TASK_FOR)
    while True:
        try:
            return verb()
        except ClockSkewError:
            if settings.TASKS_BACKEND == "immediate" or deadline.has_passed:
                raise
            time.sleep(POLL_SECONDS)
